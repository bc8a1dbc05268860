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


class Listener:
    """Serves every dialect, and answers one of them. To clients it is told of as a service is."""

    secret = SECRET

    def __init__(self, address: str | None, dialect: str):
        self.requests: list[bytes] = []
        self._dialect = dialect
        self._tls = server_tls() if dialect == "service-fabric" else None
        self._socket = socket.create_server((address, 80) if address else ("127.0.0.1", 0))
        self.host = ":".join(map(str, self._socket.getsockname()))
        self.listens = [f"https://{self.host}" if self._tls else self.host]
        self.certificate = certificate()
        threading.Thread(target=self.accept, daemon=True).start()

    @staticmethod
    def is_probe(request: bytes) -> bool:
        """Whether it only looks for IMDS: without a resource, or without the header that every token needs."""
        is_imds = b"/metadata/identity/oauth2/token" in request
        return b"resource=" not in request or is_imds and b"metadata: true" not in request.lower()

    def accept(self):
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        while True:
            received = b""
            while b"\r\n\r\n" not in received:
                more = connection.recv(65536)
                if not more:
                    return
                received += more
            head, _, rest = received.partition(b"\r\n\r\n")
            while not is_whole(head, rest):
                rest += connection.recv(65536)
            self.requests.append(head + b"\r\n\r\n" + rest)
            connection.sendall(self.answer(head.decode("latin-1"), rest.decode("latin-1")))

    def answer(self, head, body):
        # A body in chunks has their lengths on lines of their own.
        words = "&".join([urlsplit(head.split()[1]).query, *body.splitlines()])
        asked = {name: values[-1] for name, values in parse_qs(words).items()}
        if self.is_probe(f"{head}\r\n\r\n{body}".encode("latin-1")):
            return answer("400 Bad Request", {"error": "invalid_request"})
        if self._dialect == "arc" and "authorization: basic" not in head.lower():
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


def is_whole(head, body):
    """Whether this is all of the body that the head announces."""
    if re.search(rb"(?im)^transfer-encoding: *chunked", head):
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return len(body) >= int(length[1] if length else 0)


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
