"""A listener that keeps the bytes of every request, and answers what makes a client go on."""

import atexit
import json
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SECRET = "the-header-secret"
ARC_KEYS = "/var/opt/azcmagent/tokens"
LINK_LOCAL = "169.254.169.254"

# What points a client at the listener.
DIALECTS = {
    "imds": {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "{base}"},
    "imds-link-local": {},
    "app-service": {"IDENTITY_ENDPOINT": "{base}/msi/token", "IDENTITY_HEADER": "{secret}"},
    "app-service-2017": {"MSI_ENDPOINT": "{base}/msi/token", "MSI_SECRET": "{secret}"},
    "cloud-shell": {"MSI_ENDPOINT": "{base}/oauth2/token"},
    "arc": {"IDENTITY_ENDPOINT": "{base}/arc/token", "IMDS_ENDPOINT": "{base}"},
    "service-fabric": {
        "IDENTITY_ENDPOINT": "{https}/fabric/token",
        "IDENTITY_HEADER": "{secret}",
        "IDENTITY_SERVER_THUMBPRINT": "0" * 40,
    },
}


class Listener:
    def __init__(self, dialect):
        self.dialect = dialect
        self.requests = []
        self.tls = server_tls() if dialect == "service-fabric" else None
        self.socket = socket.create_server((LINK_LOCAL, 80) if dialect == "imds-link-local" else ("127.0.0.1", 0))
        address, port = self.socket.getsockname()
        self.host = f"{address}:{port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def environment(self):
        known = {"base": f"http://{self.host}", "https": f"https://{self.host}", "secret": SECRET}
        return {name: value.format(**known) for name, value in DIALECTS[self.dialect].items()}

    def accept(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        if self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True)
        while True:
            received = b""
            while b"\r\n\r\n" not in received:
                more = connection.recv(65536)
                if not more:
                    return
                received += more
            head, _, rest = received.partition(b"\r\n\r\n")
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            while len(rest) < int(length[1] if length else 0):
                rest += connection.recv(65536)
            self.requests.append(head + b"\r\n\r\n" + rest)
            connection.sendall(self.answer(head.decode("latin-1"), rest.decode("latin-1")))

    def answer(self, head, body):
        asked = {name: values[-1] for name, values in parse_qs(f"{urlsplit(head.split()[1]).query}&{body}").items()}
        if "resource" not in asked:
            return answer("400 Bad Request", {"error": "invalid_request"})
        if self.dialect == "arc" and "authorization: basic" not in head.lower():
            Path(ARC_KEYS, "one.key").write_text(SECRET)
            challenge = f"WWW-Authenticate: Basic realm={ARC_KEYS}/one.key\r\n"
            return answer("401 Unauthorized", {"error": "unauthorized"}, challenge)
        now = int(time.time())
        token = {
            "access_token": "opaque",
            "expires_in": "3599",
            "expires_on": str(now + 3599),
            "resource": asked["resource"],
            "token_type": "Bearer",
        }
        echo = {name: asked[name] for name in ("client_id", "object_id", "msi_res_id") if name in asked}
        return answer("200 OK", token | echo)


def answer(status, content, header=""):
    content = json.dumps(content)
    length = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return f"HTTP/1.1 {status}\r\n{header}{length}\r\n{content}".encode()


def server_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(), certificate().with_name("key.pem"))
    return context


@cache
def certificate():
    directory = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, directory)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
        check=True, stderr=subprocess.DEVNULL)  # fmt: skip
    return directory / "cert.pem"
