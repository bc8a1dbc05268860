"""A page of the documentation, as the fenced blocks that it is made of."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Behind the language of a block that no test runs; the reason follows.
MARK = "not run:"


@dataclass(frozen=True)
class Block:
    """What stands between two fences. `info` is what follows the language: a file's name, or the mark."""

    page: str
    line: int
    language: str
    info: str
    text: str

    @property
    def reason(self) -> str | None:
        """Why no test runs it."""
        return self.info.removeprefix(MARK).strip() if self.info.startswith(MARK) else None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    def exchanges(self) -> list[tuple[str, str]]:
        """Of a console, each command with the output that is shown."""
        found: list[tuple[str, str]] = []
        for line in self.text.splitlines(keepends=True):
            if line.startswith("$ "):
                found.append((line[2:], ""))
            elif line.startswith("> "):
                found[-1] = (found[-1][0] + line[2:], "")
            else:
                found[-1] = (found[-1][0], found[-1][1] + line)
        return found


def blocks(path: Path) -> list[Block]:
    """All blocks of a page, in their order."""
    text, name = path.read_text(), str(path.relative_to(ROOT))
    fences = re.compile(r"^```(\w*)[ ]*(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
    return [
        Block(name, text.count("\n", 0, found.start()) + 1, *(part.strip("\n") for part in found.groups()[:2]), found[3])
        for found in fences.finditer(text)
    ]


def shape(shown: str) -> re.Pattern:
    """What an output has to look like: `...` stands for anything, and digits for as many or others."""
    parts = []
    for line in shown.strip().splitlines():
        words = [re.sub(r"\\?\d+", lambda _: r"\d+", re.escape(word)) for word in line.rstrip().split("...")]
        parts.append("[^\n]*".join(re.sub(r"(\\ )+", r"\\s+", word) for word in words))
    return re.compile("\n".join(parts))
