"""The commands under test, each started once for the whole run, and the environment that a client wakes up in."""

import os
from contextlib import contextmanager

import pytest
import requests

import authority
import service
from authority import Material, Sts
from processes import Command, free_ports, running, said_by

FOREIGN = ("AZURE_", "IDENTITY_", "IMDS_", "MSI_", "MSAL_")
STRAY = ("REGION_NAME", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
LOG_TAIL = 3000


@pytest.fixture(scope="session", autouse=True)
def bare_environment(tmp_path_factory):
    """Nothing that a client could take for a setting, no proxy, and no other tool that could sign in instead."""
    empty = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(FOREIGN) or name in STRAY or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("HOME", empty)
        patch.setenv("PATH", empty)
        yield


@pytest.fixture(scope="session")
def material() -> Material:
    return Material.generate()


@pytest.fixture(scope="session")
def plain_sts(tmp_path_factory):
    """The authority as it comes."""
    with sts_in(tmp_path_factory.mktemp("plain-sts"), "plain-sts") as started:
        yield started


@pytest.fixture(scope="session")
def sts(tmp_path_factory, material):
    """The authority with the applications of these suites."""
    directory = tmp_path_factory.mktemp("sts")
    file = authority.write_configuration(directory, material)
    with sts_in(directory, "sts", "--config", str(file)) as started:
        yield started


@pytest.fixture(scope="session")
def dev(tmp_path_factory):
    """`bursar dev`, reached by nothing but the lines that it prints."""
    arguments = ["dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    with running("dev", arguments, tmp_path_factory.mktemp("dev")) as command:
        command.wait_until(lambda: service.says_all(command.said()), "what to export")
        yield service.developers(command.said())


@pytest.fixture(scope="session")
def serve(tmp_path_factory, sts, material):
    """`bursar serve` in front of the authority, over https."""
    directory = tmp_path_factory.mktemp("serve")
    ports = free_ports(2)
    file = service.write_configuration(directory, ports, sts, material)
    with running("serve", ["serve", "--config", str(file)], directory) as command:
        command.wait_until(lambda: is_ready(f"http://127.0.0.1:{ports[1]}/readyz"), "readiness")
        yield service.configured(said_by("env", "--config", str(file), "--shell", "dotenv"), sts)


@pytest.fixture(params=["dev", "serve"])
def bursar(request) -> service.Service:
    """Either service; a test that takes it holds for both."""
    return request.getfixturevalue(request.param)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the commands logged."""
    report = yield
    if report.failed:
        for command in Command.running:
            report.sections.append((f"log of {command.name}", command.logged()[-LOG_TAIL:]))
    return report


@contextmanager
def sts_in(directory, name, *arguments):
    listening = ["sts", "--listen", "127.0.0.1:0", "--tls-dir", str(directory), *arguments]
    with running(name, listening, directory) as command:
        yield command.wait_until(lambda: Sts.announced(command.said()), "its line")


def is_ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False
