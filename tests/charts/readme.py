"""The table of values in the chart's README, as values.yaml has them: readme.py [--write]

A value's row says what the lines `# -- ...` above it say; what stands below a described key is its default.
"""

import json
import re
import sys

import yaml
from chart import CHART

README = CHART / "README.md"
BEGIN, END = "<!-- values: tests/charts/run --write -->\n", "<!-- end of values -->\n"
LINE = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z]\w*):(?: |$)")


def described(text):
    """Each described key of values.yaml with its description, in its order."""
    path, description, covered = [], [], None
    for number, line in enumerate(text.splitlines(), 1):
        found = LINE.match(line)
        comment = line.strip()
        if comment.startswith("# -- "):
            description = [comment.removeprefix("# -- ")]
        elif comment.startswith("#") and description:
            description.append(comment.removeprefix("#").strip())
        elif found:
            depth = len(found["indent"]) // 2
            if covered is not None and depth > covered:
                continue
            covered = None
            path = [*path[:depth], found["key"]]
            if description:
                yield ".".join(path), " ".join(description)
                covered, description = depth, []
            elif not line.endswith(":"):
                sys.exit(f"values.yaml:{number}: {found['key']} is not described")


def default(values, path):
    for step in path.split("."):
        values = values[step]
    return json.dumps(values, ensure_ascii=False)


def table():
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    rows = [f"| `{path}` | `{default(values, path)}` | {told} |" for path, told in described(text)]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def parts():
    """The README before the table, the table in it, and what comes after it."""
    before, rest = README.read_text().split(BEGIN)
    inside, after = rest.split(END)
    return before + BEGIN, inside, END + after


if __name__ == "__main__" and "--write" in sys.argv:
    before, _, after = parts()
    README.write_text(before + table() + after)
