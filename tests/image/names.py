"""A name server that knows one name, since a static program brings its own way to resolve names."""

import contextlib
import socket
import struct
import threading

ADDRESS = "127.0.0.153"
NAME = "authority.example"
FOUND = socket.inet_aton("127.0.0.1")


@contextlib.contextmanager
def name_server():
    """Answers at port 53 of `ADDRESS`, where no other name server is, that `NAME` is this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((ADDRESS, 53))
        thread = threading.Thread(target=_serve, args=(server,), daemon=True)
        thread.start()
        yield
        # An empty datagram ends it.
        server.sendto(b"", (ADDRESS, 53))
        thread.join(timeout=5)


def _serve(server):
    while True:
        query, client = server.recvfrom(512)
        if not query:
            return
        server.sendto(_answer(query), client)


def _answer(query):
    """Its question once more and, if it is for the address of the name, one record."""
    ends = query.index(0, 12) + 5
    labels = b"".join(bytes([len(one)]) + one.encode() for one in NAME.split(".")) + b"\0"
    is_known = query[12 : ends - 4].lower() == labels
    has_address = is_known and query[ends - 4 : ends - 2] == b"\0\1"
    header = struct.pack(">2sHHHHH", query[:2], 0x8180 if is_known else 0x8183, 1, has_address, 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + FOUND
    return header + query[12:ends] + (record if has_address else b"")
