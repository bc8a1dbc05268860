"""Which version of a package a lock file pins, or the system has."""

import json
import re
import subprocess
from pathlib import Path

PATTERNS = {
    "requirements.txt": r"^{package}==(\S+)",
    "Cargo.lock": r'name = "{package}"\nversion = "([^"]+)"',
    "go.mod": r"{package} v(\S+)",
    "pom.xml": r"<artifactId>{package}</artifactId>\s*<version>([^<]+)</version>",
}

OF_THE_SYSTEM = "the system's own"


def of_the_system(program: str) -> str:
    """The version that a program tells of itself."""
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True, timeout=10).stdout
    return f"{said.split()[1]}, {OF_THE_SYSTEM}"


def without_own(text: str) -> str:
    """A text in which versions of the system's programs are no difference."""
    return re.sub(rf"\S+, {OF_THE_SYSTEM}", OF_THE_SYSTEM, text)


def pinned(package: str, lock: Path) -> str:
    """The version, as its registry calls it."""
    text = lock.read_text()
    if lock.name == "package-lock.json":
        return json.loads(text)["packages"][f"node_modules/{package}"]["version"]
    found = re.search(PATTERNS[lock.name].format(package=re.escape(package)), text, re.MULTILINE)
    if not found:
        raise SystemExit(f"{lock} pins no {package}")
    return found.group(1)
