"""What is in the image, and what is not."""

import os
import ssl
import tomllib
import unittest

from image import PROGRAM, ROOT, Elf, compressed_bytes, configuration, files

VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
MOST_BYTES = 25_000_000


class Contents(unittest.TestCase):
    def test_it_is_small(self):
        self.assertLess(compressed_bytes(), MOST_BYTES)

    def test_nothing_is_in_it_but_the_program_and_what_it_reads(self):
        there = {name for name, (entry, _) in files().items() if not entry.isdir()}
        self.assertEqual(there, {PROGRAM, "etc/ssl/certs/ca-certificates.crt"})

    def test_nobody_but_root_can_change_it(self):
        for name, (entry, _) in files().items():
            self.assertEqual((entry.uid, entry.gid), (0, 0), name)
            self.assertEqual(entry.mode & 0o7022, 0, f"{name} has mode {entry.mode:o}")
            self.assertEqual(entry.mode & 0o5, 0o5 if entry.isdir() or name == PROGRAM else 0o4, name)

    def test_it_runs_as_a_user_without_a_name(self):
        self.assertEqual(configuration()["config"]["User"], "65532:65532")

    def test_it_serves_unless_told_otherwise(self):
        self.assertEqual(configuration()["config"]["Entrypoint"], [f"/{PROGRAM}"])
        self.assertEqual(configuration()["config"]["Cmd"], ["serve"])

    def test_it_is_of_the_architecture_that_was_asked_for(self):
        self.assertEqual(configuration()["architecture"], os.environ["ARCH"])
        self.assertEqual(Elf(files()[PROGRAM][1]).machine, Elf.MACHINES[os.environ["ARCH"]])

    def test_labels_say_what_it_is(self):
        labels = configuration()["config"]["Labels"]
        ours = {name.removeprefix("org.opencontainers.image."): text for name, text in labels.items()}
        self.assertEqual((ours["title"], ours["licenses"], ours["version"]), ("Bursar", "MIT", VERSION))
        self.assertRegex(ours["revision"], r"^[0-9a-f]{12}$")
        self.assertIn(ours["description"], (ROOT / "Cargo.toml").read_text())

    def test_public_authorities_are_trusted(self):
        trusted = ssl.create_default_context(cadata=files()["etc/ssl/certs/ca-certificates.crt"][1].decode())
        self.assertGreater(len(trusted.get_ca_certs()), 100)


class Program(unittest.TestCase):
    def setUp(self):
        self.elf = Elf(files()[PROGRAM][1])

    def test_it_is_linked_statically(self):
        self.assertFalse(self.elf.is_interpreted())
        self.assertEqual(self.elf.needed(), 0)

    @unittest.skipUnless(os.environ["ARCH"] == "amd64", "Rust links it at a fixed address")
    def test_it_lies_at_another_address_each_time(self):
        self.assertTrue(self.elf.is_anywhere())

    def test_it_is_stripped(self):
        self.assertFalse([name for name in self.elf.sections if name == ".symtab" or name.startswith(".debug")])

    def test_it_tells_what_it_was_built_of(self):
        inside = {(one["name"], one["version"]) for one in self.elf.dependencies()}
        locked = {
            (one["name"], one["version"])
            for one in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
        }
        self.assertLessEqual(inside, locked)
        self.assertLessEqual({"bursar", "rustls", "aws-lc-sys", "tokio"}, {name for name, _ in inside})
        self.assertIn(("bursar", VERSION), inside)
