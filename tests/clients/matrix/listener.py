"""A listener between a client and `bursar dev`, which keeps the bytes of every request and of its answer."""

import atexit
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

SECRET = "the-header-secret"
ARC_KEYS = "/var/opt/azcmagent/tokens"
HOST, PLAIN, TLS = "127.0.0.1", 4141, 4143
READY_WITHIN = 30
LEAVES_WITHIN = 15


class Listener:
    """To clients it is told of as a service is."""

    secret = SECRET

    def __init__(self, address: str | None, dialect: str):
        self.exchanges: list[tuple[bytes, bytes]] = []
        self._tls = server_tls() if dialect == "service-fabric" else None
        self._socket = socket.create_server((address, 80) if address else (HOST, 0))
        self.host = ":".join(map(str, self._socket.getsockname()))
        self.listens = [f"https://{self.host}" if self._tls else self.host]
        self.certificate = certificate()
        threading.Thread(target=self.accept, daemon=True).start()

    @staticmethod
    def is_probe(request: bytes) -> bool:
        """Whether it only looks for IMDS: without the header that every token needs."""
        return b" /metadata/identity/oauth2/token" in request and b"metadata: true" not in request.lower()

    def accept(self):
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        while request := message(connection):
            answer = self.pass_on(request)
            self.exchanges.append((request, answer))
            connection.sendall(answer)

    def pass_on(self, request: bytes) -> bytes:
        with socket.create_connection((HOST, TLS if self._tls else PLAIN)) as bursar:
            if self._tls:
                bursar = anybody().wrap_socket(bursar)
            bursar.sendall(request)
            return message(bursar)


def message(connection) -> bytes:
    """The next request or answer, whole; nothing at the end."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return b""
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    is_chunked = re.search(rb"(?im)^transfer-encoding: *chunked", head)
    while len(rest) < int(length[1] if length else 0) or is_chunked and not rest.endswith(b"0\r\n\r\n"):
        if not (more := connection.recv(65536)):
            return b""
        rest += more
    return head + b"\r\n\r\n" + rest


@contextmanager
def bursar():
    """`bursar dev` on its usual addresses, for as long as the block lasts."""
    listen = ["--listen", f"{HOST}:{PLAIN}", "--listen", f"https://{HOST}:{TLS}"]
    command = [os.environ["BURSAR"], "dev", *listen, "--header-secret", SECRET]
    process = subprocess.Popen(command, env={}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + READY_WITHIN
        while "Get a token:" not in process.stdout.readline():
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit("bursar dev does not start")
        yield
    finally:
        process.terminate()
        process.wait(LEAVES_WITHIN)


def server_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(), certificate().with_name("key.pem"))
    return context


def anybody():
    """Bursar's own certificate is made anew with every start."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
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
