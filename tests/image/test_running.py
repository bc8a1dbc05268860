"""The image pays out tokens with no capability, no right to write anything, and no name for its user."""

import json
import os
import platform
import tempfile
import unittest
from pathlib import Path

from containers import curl, free_port, once, podman, running
from names import ADDRESS, NAME, name_server

VAULT = "https://vault.azure.net"
HERE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
DRAIN = 1

CONFIGURATION = """
[server]
listen = ["127.0.0.1:{port}"]
drain = "{drain}s"

[tenants.contoso]
id = "{tenant}"
authority = "{authority}"
instance_discovery = false

[identities.payroll]
tenants = ["contoso"]
client_id = "{client_id}"
resources = ["{resource}"]
credentials = [{{ kind = "secret", file = "client-secret" }}]
"""

PUBLIC = """
[tenants.contoso]
id = "72f988bf-86f1-41af-91ab-2d7cd011db47"

[identities.payroll]
tenants = ["contoso"]
client_id = "11111111-2222-3333-4444-555555555555"
resources = ["https://vault.azure.net"]
credentials = [{ kind = "secret", file = "client-secret" }]
"""


def admin(port):
    """Where health is, told to the service and to its health check alike."""
    return [f"--env=BURSAR__SERVER__ADMIN_LISTEN=127.0.0.1:{port}"]


def token_from(port):
    answered = curl("--fail-with-body", "-H", "Metadata: true", f"http://127.0.0.1:{port}/token?resource={VAULT}")
    if answered.returncode != 0:
        raise AssertionError(answered.stdout + answered.stderr)
    return json.loads(answered.stdout)["access_token"]


@unittest.skipUnless(os.environ["ARCH"] == HERE, "it is of another machine")
class Running(unittest.TestCase):
    def mount(self, text, secret="a-secret"):
        """A directory as a volume: this configuration, and the secret that it names."""
        directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)
        (directory / "bursar.toml").write_text(text)
        (directory / "client-secret").write_text(secret)
        return [f"--volume={directory}:/etc/bursar:ro"]

    def test_version_names_the_commit(self):
        (labels,) = json.loads(podman("image", "inspect", os.environ["IMAGE"]).stdout)
        revision = labels["Labels"]["org.opencontainers.image.revision"]
        version = labels["Labels"]["org.opencontainers.image.version"]
        self.assertEqual(once("--version").stdout, f"bursar {version} ({revision})\n")

    def test_dev_pays_out_a_token(self):
        port, health = free_port(), free_port()
        arguments = ["dev", f"--listen=127.0.0.1:{port}", f"--admin-listen=127.0.0.1:{health}"]
        with running(*arguments, options=admin(health)) as dev:
            dev.wait_until_healthy()
            self.assertTrue(token_from(port).startswith("ey"), dev.logs())

    def test_it_runs_with_nothing(self):
        health = free_port()
        arguments = ["dev", "--listen=127.0.0.1:0", f"--admin-listen=127.0.0.1:{health}"]
        with running(*arguments, options=admin(health)) as dev:
            dev.wait_until_healthy()
            status = dict(line.split(":\t", 1) for line in dev.proc("status").splitlines() if ":\t" in line)
            self.assertEqual(set(status["Uid"].split() + status["Gid"].split() + status["Groups"].split()), {"65532"})
            capabilities = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
            self.assertEqual([int(status[one], 16) for one in capabilities], [0] * 5)
            self.assertEqual(status["NoNewPrivs"], "1")
            (root,) = [line for line in map(str.split, dev.proc("mountinfo").splitlines()) if line[4] == "/"]
            self.assertIn("ro", root[5].split(","))

    def test_serve_pays_out_a_token_and_ends_when_it_is_told(self):
        port, health = free_port(), free_port()
        with running("sts", "--listen=127.0.0.1:0") as sts:
            announced = json.loads(sts.line())
            text = CONFIGURATION.format(port=port, drain=DRAIN, resource=VAULT, **announced)
            options = admin(health) + self.mount(text, announced["client_secret"])
            with running("serve", "--config=/etc/bursar/bursar.toml", options=options) as serve:
                serve.wait_until_healthy()
                self.assertTrue(token_from(port).startswith("ey"), serve.logs())
                took, code = serve.stop(10)
                self.assertEqual(code, 0, serve.logs())
                self.assertLess(took, DRAIN + 3)

    def test_the_health_check_fails_where_nothing_is_ready(self):
        with running("sts", "--listen=127.0.0.1:0", options=admin(free_port())) as sts:
            self.assertTrue(sts.line())
            self.assertFalse(sts.is_healthy())

    def test_certificates_are_where_it_looks_for_them(self):
        arguments = ["check", "--config=/etc/bursar/bursar.toml"]
        checked = once(*arguments, options=self.mount(PUBLIC))
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        without = once(*arguments, options=[*self.mount(PUBLIC), "--env=SSL_CERT_FILE=/nowhere"])
        self.assertEqual(without.returncode, 64, without.stdout + without.stderr)

    def test_names_are_resolved(self):
        health = free_port()
        arguments = ["dev", "--listen=127.0.0.1:0", f"--admin-listen=127.0.0.1:{health}"]
        hosts = [f"--env=BURSAR__SERVER__HOSTS={NAME},other.example"]
        with name_server(), running(*arguments, options=admin(health) + hosts) as dev:
            dev.wait_until_healthy()
            for name, options in (
                (NAME, [f"--dns={ADDRESS}"]),
                ("other.example", [f"--dns={ADDRESS}", "--add-host=other.example:127.0.0.1"]),
                ("localhost", [f"--dns={ADDRESS}"]),
            ):
                probed = once("probe", f"http://{name}:{health}", options=options)
                self.assertEqual(probed.returncode, 0, f"{name}: {probed.stderr}")
            self.assertEqual(once("probe", f"http://no.example:{health}", options=[f"--dns={ADDRESS}"]).returncode, 69)


class Health(unittest.TestCase):
    def test_an_engine_knows_how_to_check_it(self):
        (image,) = json.loads(podman("image", "inspect", os.environ["IMAGE"]).stdout)
        self.assertEqual(image["Healthcheck"]["Test"], ["CMD", "/usr/local/bin/bursar", "probe"])
