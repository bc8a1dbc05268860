"""A service with its authority: identities that do well and one that fails, and keys of every age."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta

TENANT = "b0b00000-0000-4000-8000-000000000001"
VAULT = "https://vault.azure.net"
# Closes whatever it stands in, wants a style and an image, and turns the direction of what follows.
HOSTILE = "\"'></th><script>document.title='owned'</script><img/src=x><b/style=color:red>\u0301txt.exe\ue001"
MINUTE = 60
# What the authority knows: two applications.
KNOWN = """
[[apps]]
client_id = "b0b00000-0000-4000-8000-000000000002"
secrets = ["bursar-dev-secret"]
[[apps]]
client_id = "b0b00000-0000-4000-8000-000000000009"
secrets = ["another-secret-than-reports-has"]
"""


class Service:
    def __init__(self, tokens, admin, authority):
        self.tokens, self.admin, self.authority = tokens, admin, authority

    def page(self):
        return f"{self.admin}/status"

    def ask(self, resource, **parameters):
        """A token, or none if it is refused."""
        query = urllib.parse.urlencode({"resource": resource, **parameters})
        request = urllib.request.Request(f"{self.tokens}/token?{query}", headers={"Metadata": "true"})
        try:
            return json.load(opened(request))["access_token"]
        except urllib.error.HTTPError:
            return None

    def ask_for_one_that_lives(self, resource, seconds):
        rule = {"match": {"path": "/oauth2/v2.0/token"}, "expires_in": seconds, "times": 1}
        self.rules([rule])
        return self.ask(resource)

    def rules(self, rules):
        body = json.dumps(rules).encode()
        opened(urllib.request.Request(f"{self.authority}/_sts/faults", data=body, method="POST"))


def opened(request):
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)


@contextmanager
def running(directory):
    """The service, with its configuration in `directory`."""
    with ExitStack() as stack:
        (directory / "sts.toml").write_text(KNOWN)
        sts = stack.enter_context(process("sts", "--listen", "127.0.0.1:0", "--config", directory / "sts.toml"))
        authority = json.loads(sts.stdout.readline())["authority"]
        ports = free_port(), free_port()
        (directory / "bursar.json").write_text(json.dumps(configuration(authority, ports)))
        (directory / "secret").write_text("bursar-dev-secret")
        (directory / "wrong").write_text("another-secret")
        stack.enter_context(process("serve", "--config", directory / "bursar.json"))
        tokens, admin = (f"http://127.0.0.1:{port}" for port in ports)
        wait_until_ready(admin)
        yield Service(tokens, admin, authority)


def configuration(authority, ports):
    def identity(number, resources, credentials, **more):
        client = f"b0b00000-0000-4000-8000-{number:012}"
        return {"client_id": client, "resources": resources, "credentials": credentials, **more}

    def secret(file, **more):
        return {"kind": "secret", "file": file, **more}

    soon, later = (str(date.today() + timedelta(days=days)) for days in (5, 200))
    tenants = {name: {"id": TENANT.replace("001", f"00{n}"), "authority": authority, "instance_discovery": False}
               for n, name in enumerate(("contoso", "fabrikam", "tailspin"), 1)}
    return {
        "server": {"listen": [f"127.0.0.1:{ports[0]}"], "admin_listen": f"127.0.0.1:{ports[1]}", "drain": "0s"},
        "tenants": tenants,
        "identities": {
            "payroll": identity(2, ["*"], [secret("secret", expires=later), secret("wrong", expires=soon)],
                                tenants=["contoso", "fabrikam", "tailspin"], default=True, warm=[VAULT]),
            "reports": identity(9, ["*"], [secret("wrong")], tenants=["contoso"], warm=["https://graph.microsoft.com"]),
            "archive": identity(10, ["*"], [secret("secret", expires=later)], tenants=["tailspin"]),
        },
    }


@contextmanager
def process(*arguments):
    clean = ("AZURE_", "BURSAR__")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(clean)}
    command = [os.environ["BURSAR"], *map(str, arguments)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(timeout=20)
        started.stdout.close()


def wait_until_ready(admin, seconds=20):
    ends = time.monotonic() + seconds
    while True:
        try:
            return opened(f"{admin}/readyz")
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < ends, "the service is not ready"
            time.sleep(0.1)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
