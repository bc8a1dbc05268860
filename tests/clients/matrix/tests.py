"""That the matrix can be red: what its judges take for a token, an error, and the page."""

import base64
import json
import os
import subprocess
import time
import unittest

from . import env, page, version
from .ask import Answer, Broken, running
from .case import CASES
from .cell import MUTE, NO, RED, YES, Outcome, Trial, cells
from .client import ROOT, read_all
from .dialect import DIALECTS
from .jwt import objection

IDS = {"client_id": "c", "object_id": "o", "resource_id": "/r"}
RESOURCE = "https://r.example"


def jwt(**claims) -> str:
    payload = {"aud": RESOURCE, "appid": "c", "oid": "o", "exp": 1000, **claims}
    return f"h.{base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip('=')}.s"


class Place:
    """Runs a shell script in place of a client."""

    def __init__(self, script: str):
        self._script = script

    def within(self, command: list[str]) -> list[str]:
        return ["sh", "-c", self._script, *command]


class Service:
    certificate = ""
    secret = "s"
    ids = IDS

    def __init__(self, script: str):
        self.place = Place(script)

    def lines(self, client, dialect: str, secret: str) -> env.Lines:
        return env.Lines({}, frozenset())

    def fault(self, resource: str, **rule) -> None:
        pass


def cell(client: str, credential: str, dialect: str, case: str):
    def is_meant(each) -> bool:
        return (each.client.name, each.credential, each.dialect.name, each.case.name) == (client, credential, dialect, case)

    return next(each for each in cells(read_all(), DIALECTS) if is_meant(each))


def outcome(script: str, *of: str) -> Outcome:
    return Trial(cell(*of), Service(script), "/").outcome()


class Tokens(unittest.TestCase):
    def test_only_the_token_that_was_asked_for_counts(self):
        self.assertIsNone(objection(jwt(), 1000, RESOURCE, IDS))
        for token, expires_on in [
            ("opaque", 1000),
            ("a.b.c", 1000),
            (jwt(aud="https://other.example"), 1000),
            (jwt(appid="x"), 1000),
            (jwt(oid="x"), 1000),
            (jwt(), 1000_000),
        ]:
            self.assertIsNotNone(objection(token, expires_on, RESOURCE, IDS), token)


class Programs(unittest.TestCase):
    def test_an_answer_is_one_line_of_the_contract(self):
        for line in ["", "token", "[]", '{"error": ""}', '{"token": "t"}', '{"token": "t", "expires_on": "1"}', '{"error": "e", "more": 1}']:
            with self.assertRaises(Broken, msg=line):
                Answer.read(line, 0)
        self.assertEqual(Answer.read('{"error": "e"}', 0).error, "e")

    def test_a_program_that_crashes_hangs_or_chatters_is_broken(self):
        good = """echo '{"error": "e"}'"""
        for script in ["exit 0", "sleep 60", f"{good}; exit 3", f"{good}; echo more", "echo Traceback >&2; exit 1"]:
            started = time.monotonic()
            with self.assertRaises(Broken, msg=script):
                with running(["sh", "-c", script], {"PATH": "/usr/bin:/bin"}, deadline=2) as program:
                    program.answer()
                    program.leave()
            self.assertLess(time.monotonic() - started, 10)


class Cells(unittest.TestCase):
    def test_a_yes_needs_the_token(self):
        of = ("curl", "managed", "imds", "client-id")
        token = jwt(aud=cell(*of).resource)
        self.assertEqual(outcome(f"""echo '{{"token": "{token}", "expires_on": 1000}}'""", *of).mark, YES)
        self.assertEqual(outcome("""echo '{"error": "no"}'""", *of).mark, RED)
        self.assertEqual(outcome(f"""echo '{{"token": "{jwt()}", "expires_on": 1000}}'""", *of).mark, RED)

    def test_a_stranger_must_be_refused(self):
        of = ("curl", "managed", "imds", "unknown")
        token = jwt(aud=cell(*of).resource)
        self.assertEqual(outcome("""echo '{"error": "400, Identity not found"}'""", *of).mark, YES)
        self.assertEqual(outcome("""echo '{"error": "400"}'""", *of).mark, MUTE)
        self.assertEqual(outcome(f"""echo '{{"token": "{token}", "expires_on": 1000}}'""", *of).mark, RED)

    def test_a_no_must_fail_as_declared(self):
        of = ("rust-identity", "managed", "app-service", "resource-id")
        declared = cell(*of).limit.says[0].replace("'", "'\\''")
        self.assertEqual(outcome(f"""echo '{{"error": "{declared}."}}'""", *of).mark, NO)
        self.assertEqual(outcome("""echo '{"error": "something else"}'""", *of).mark, RED)
        token = jwt(aud=cell(*of).resource)
        self.assertEqual(outcome(f"""echo '{{"token": "{token}", "expires_on": 1000}}'""", *of).mark, RED)

    def test_who_gives_up_has_to_pass_on_why(self):
        of = ("curl", "managed", "imds", "down")
        self.assertEqual(outcome("""echo '{"error": "503: the authority is down"}'""", *of).mark, YES)
        self.assertEqual(outcome("""echo '{"error": "503"}'""", *of).mark, RED)

    def test_a_second_token_has_to_be_newer(self):
        of = ("curl", "managed", "imds", "refresh")
        first = jwt(aud=cell(*of).resource, exp=int(time.time()) - 2)
        line = f"""echo '{{"token": "{first}", "expires_on": {int(time.time())}}}'"""
        newer = line.replace(first, jwt(aud=cell(*of).resource, exp=int(time.time()) + 5))
        self.assertEqual(outcome(f"{line}; read x; {newer}", *of).mark, YES)
        self.assertEqual(outcome(f"{line}; read x; {line}", *of).mark, RED)


class Lines(unittest.TestCase):
    def test_what_is_printed_is_set_and_unset(self):
        lines = env.Lines.read("# a client\n# unset B\nA=x=y\n# then: C=z\n")
        self.assertEqual(lines.applied_to({"A": "old", "B": "old", "D": "d"}), {"A": "x=y", "D": "d"})

    def test_a_command_that_refuses_breaks_the_cell(self):
        with self.assertRaises(Broken):
            env.lines([os.environ["BURSAR"], "env", "--client", "nobody"])

    def test_bursar_env_says_the_same_of_what_clients_speak(self):
        for client in read_all():
            for dialect in DIALECTS:
                if dialect.has_variables and not client.speaks(dialect.name):
                    words = [os.environ["BURSAR"], "env", "--client", client.env, "--dialect", dialect.name]
                    said = subprocess.run(words, capture_output=True, text=True)
                    self.assertIn(f"{client.env} does not speak {dialect.name}", said.stderr)

    def test_all_that_is_taken_away_is_there_to_be_taken(self):
        for client in read_all():
            lines = env.lines(env.command(client, "app-service", ["127.0.0.1:1"], "s"))
            self.assertLessEqual(lines.unset | lines.set.keys(), env.STRAYS.keys() | {"NO_PROXY"}, client.name)
            self.assertEqual(lines.set["IDENTITY_ENDPOINT"], "http://127.0.0.1:1/msi/token")


class Descriptions(unittest.TestCase):
    def test_every_client_is_whole(self):
        for client in read_all():
            self.assertTrue(client.version, client.name)
            for word in (client.install[0], *client.command):
                if word.startswith("tests/"):
                    self.assertTrue((ROOT / word).exists(), word)

    def test_another_version_of_what_is_not_pinned_is_no_difference(self):
        self.assertRegex(version.of_the_system("curl"), r"^\d+\.\d+\.\d+, the system's own$")
        rows = [f"| curl | `curl` | {number}, {version.OF_THE_SYSTEM} |" for number in ("7.88.1", "8.14.0")]
        self.assertEqual(page.difference(*rows), [])
        self.assertTrue(page.difference("| msal | 1.39.0 |", "| msal | 1.40.0 |"))

    def test_versions_are_found_where_they_are_pinned(self):
        self.assertRegex(version.pinned("azure_identity", ROOT / "Cargo.lock"), r"^\d+\.\d+")
        with self.assertRaises(SystemExit):
            version.pinned("no-such-package", ROOT / "Cargo.lock")


class Page(unittest.TestCase):
    def test_a_cell_that_changes_changes_the_page(self):
        clients = read_all()
        outcomes = [Outcome(each, NO if each.limit else YES) for each in cells(clients, DIALECTS)]
        whole = page.page(outcomes, clients)
        self.assertEqual(page.difference(whole, whole), [])
        changed = page.page([Outcome(outcomes[0].cell, RED), *outcomes[1:]], clients)
        self.assertTrue(page.difference(whole, changed))
        for case in CASES:
            self.assertIn(case.title, whole)
