"""What a page takes for given: files that its reader has by then, and services that run."""

import re
from pathlib import Path

from keys import Pair
from page import ROOT

SHARED = (ROOT / "config/callers-shared.toml").read_text()
STS_APP = "b0b00000-0000-4000-8000-000000000002"
# In front of the STS; the secret is the one that the STS knows.
PAYROLL = f"""
[server]
header_secret = [{{ file = "secrets/header" }}]
[tenants.contoso]
id = "b0b00000-0000-4000-8000-000000000001"
authority = "http://127.0.0.1:4140"
instance_discovery = false
[identities.payroll]
tenants = ["contoso"]
client_id = "{STS_APP}"
resources = ["https://vault.azure.net"]
credentials = [{{ kind = "secret", env = "STS_SECRET" }}]
"""
SERVED = """
export STS_SECRET=bursar-dev-secret
bursar sts --listen 127.0.0.1:4140 &
bursar serve --config bursar.toml
eval "$(bursar env --config bursar.toml --dialect app-service)"
"""
FILES = {
    "docs/configuration.md": {"bursar.toml": SHARED, "new.toml": SHARED},
    "docs/endpoints.md": {"bursar.toml": PAYROLL},
    "docs/tracing.md": {"bursar.toml": PAYROLL},
    "docs/operating.md": {"bursar.toml": PAYROLL},
}
BEFORE = {
    "docs/endpoints.md": SERVED,
    "docs/tracing.md": "export STS_SECRET=bursar-dev-secret",
    "docs/operating.md": SERVED,
}


def lay(page: str, texts: list[str], directory: Path, secrets: Path) -> None:
    """Writes the files of a page, and the secrets that these and its blocks name."""
    for name, text in FILES.get(page, {}).items():
        (directory / name).write_text(text)
        texts = [*texts, text]
    pair = Pair.generate("payroll")
    for text in texts:
        for place, name in re.findall(r'"(secrets|/run/secrets)/([\w.-]+)"', text):
            into = secrets if place.startswith("/") else directory / "secrets"
            into.mkdir(exist_ok=True)
            secret = pair.certificate_pem() + pair.key_pem() if name.endswith(".pem") else f"secret-of-{name}"
            (into / name).write_text(secret)
