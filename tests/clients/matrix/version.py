"""Which version of a package a lock file pins."""

import json
import re
from pathlib import Path

PATTERNS = {
    "requirements.txt": r"^{package}==(\S+)",
    "Cargo.lock": r'name = "{package}"\nversion = "([^"]+)"',
    "go.mod": r"{package} v(\S+)",
    "pom.xml": r"<artifactId>{package}</artifactId>\s*<version>([^<]+)</version>",
}


def pinned(package: str, lock: Path) -> str:
    """The version, as its registry calls it."""
    text = lock.read_text()
    if lock.name == "package-lock.json":
        return json.loads(text)["packages"][f"node_modules/{package}"]["version"]
    found = re.search(PATTERNS[lock.name].format(package=re.escape(package)), text, re.MULTILINE)
    if not found:
        raise SystemExit(f"{lock} pins no {package}")
    return found.group(1)
