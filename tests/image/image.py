"""The image as a registry would be sent it: its manifest, its configuration, its files, and the program among them."""

import functools
import hashlib
import json
import os
import struct
import tarfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = Path(os.environ["LAYOUT"])
PROGRAM = "usr/local/bin/bursar"


def blob(descriptor):
    return LAYOUT / "blobs" / descriptor["digest"].replace(":", "/")


@functools.cache
def manifest():
    (index,) = json.loads((LAYOUT / "index.json").read_text())["manifests"]
    return json.loads(blob(index).read_text())


@functools.cache
def configuration():
    return json.loads(blob(manifest()["config"]).read_text())


def compressed_bytes():
    """What is pulled."""
    return sum(one["size"] for one in [manifest()["config"], *manifest()["layers"]])


@functools.cache
def files():
    """Everything that lies in it, by path: the entry of the archive, and the content of a file."""
    found = {}
    for layer in manifest()["layers"]:
        assert hashlib.sha256(blob(layer).read_bytes()).hexdigest() == layer["digest"].removeprefix("sha256:")
        with tarfile.open(blob(layer)) as archive:
            for one in archive:
                found[one.name] = one, archive.extractfile(one).read() if one.isfile() else b""
    return found


class Elf:
    """As much of an ELF file of 64 bits, little endian, as has to be looked at."""

    INTERPRETER, DYNAMIC, SHARED = 3, 2, 3
    MACHINES = {"amd64": 62, "arm64": 183}

    def __init__(self, content):
        self.content = content
        self.kind, self.machine = struct.unpack_from("<HH", content, 16)
        self.segments = [struct.unpack_from("<IIQQQQ", content, at) for at in self._table(32, 54)]
        headers = [struct.unpack_from("<IIQQQQ", content, at) for at in self._table(40, 58)]
        names = headers[struct.unpack_from("<H", content, 62)[0]][4]
        self.sections = {self._text(names + one[0]): content[one[4] : one[4] + one[5]] for one in headers}

    def _table(self, offset, entry):
        (start,) = struct.unpack_from("<Q", self.content, offset)
        size, count = struct.unpack_from("<HH", self.content, entry)
        return range(start, start + size * count, size)

    def _text(self, start):
        return self.content[start : self.content.index(0, start)].decode()

    def needed(self):
        """How many shared libraries it asks for."""
        dynamic = (one for one in self.segments if one[0] == self.DYNAMIC)
        return sum(
            tag == 1
            for one in dynamic
            for tag, _ in struct.iter_unpack("<QQ", self.content[one[2] : one[2] + one[5]])
        )

    def is_interpreted(self):
        """Whether another program has to load it."""
        return any(one[0] == self.INTERPRETER for one in self.segments)

    def is_anywhere(self):
        """Whether it can lie at any address."""
        return self.kind == self.SHARED

    def dependencies(self):
        """The packages that `cargo auditable` wrote into it."""
        return json.loads(zlib.decompress(self.sections[".dep-v0"]))["packages"]
