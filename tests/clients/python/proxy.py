"""A proxy that takes every tunnel to one address, whatever host it was asked for."""

import socket
import threading
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer


@contextmanager
def leading_to(address: tuple[str, int]):
    """The URL of such a proxy, for as long as the block lasts."""

    class Tunnel(StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            with socket.create_connection(address) as far:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pour, args=(far, self.connection), daemon=True)
                back.start()
                _pour(self.connection, far)
                back.join()

    ThreadingTCPServer.daemon_threads = True
    with ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "http://{}:{}".format(*server.server_address)
        server.shutdown()


def _pour(source: socket.socket, target: socket.socket):
    """Everything from one to the other, and then that there is no more."""
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
