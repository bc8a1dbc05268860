"""MSAL and Bursar ask for the same in the same words in every kind of authority, but for what `deliberate.py` lists."""

from urllib.parse import urlsplit

import pytest
import requests

import authority
from authority import SECRET, SECRET_CLIENT, TIMEOUT
from conftest import is_ready, sts_in
from deliberate import DISCOVERY, expected
from flows import ALL, FLOWS, write_configuration, write_files
from processes import free_ports, running
from profiles import RESOURCE
from proxy import leading_to
from recorded import differences, fields


@pytest.fixture(scope="module")
def directory(tmp_path_factory, material):
    directory = tmp_path_factory.mktemp("same")
    write_files(directory, material)
    return directory


@pytest.fixture(scope="module")
def sts(tmp_path_factory, material):
    """An authority that nobody else asks."""
    directory = tmp_path_factory.mktemp("same-sts")
    with sts_in(directory, "same-sts", "--config", str(authority.write_configuration(directory, material))) as started:
        yield started


@pytest.fixture(scope="module")
def certificates(material) -> dict[str, str]:
    """Short names for all that an assertion can call a certificate."""
    pairs = {"app": material.app, "issued": material.issued, "issuer": material.issuer}
    return {written: name for name, pair in pairs.items() for written in pair.names()}


@pytest.fixture(scope="module")
def host(directory, sts):
    """Bursar in front of every kind of authority."""
    address = urlsplit(sts.authority)
    ports = free_ports(2)
    with leading_to((address.hostname, address.port)) as proxy:
        file = write_configuration(directory, ports, sts, proxy)
        with running("serve-all", ["serve", "--config", str(file)], directory) as command:
            command.wait_until(lambda: is_ready(f"http://127.0.0.1:{ports[1]}/readyz"), "readiness")
            yield f"http://127.0.0.1:{ports[0]}"


def of_msal(sts, directory, profile, flow, resource):
    app = profile.client(sts, flow.client_id, flow.credential(directory), **flow.constructed)
    result = app.acquire_token_for_client([resource + "/.default"], **flow.called)
    assert "access_token" in result, result


def of_bursar(host, tenant_name, flow, resource):
    query = {"identity": flow.identity, "tenant": tenant_name, "resource": resource, **flow.query}
    answer = requests.get(f"{host}/token", params=query, headers={"Metadata": "true"}, timeout=TIMEOUT)
    assert answer.status_code == 200, answer.text


def is_bursars(entry: dict) -> bool:
    return entry["headers"]["user-agent"].startswith("bursar/")


def place(entry: dict) -> tuple[str, str]:
    return entry["headers"]["host"], entry["path"]


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("profile", ALL)
def test_a_token_is_asked_for_alike(sts, host, directory, certificates, profile, flow):
    resource = f"https://{profile}.{flow}.example"
    before = len(sts.exchanges())
    of_msal(sts, directory, ALL[profile], FLOWS[flow], resource)
    of_bursar(host, profile, FLOWS[flow], resource)
    msals, ours = (fields(entry, certificates) for entry in sts.exchanges()[before:])
    assert msals["path"].endswith(ALL[profile].token_path)
    assert differences(msals, ours) == expected(profile, flow, resource)


@pytest.mark.parametrize("profile", ALL)
def test_an_authority_is_discovered_alike(sts, host, certificates, profile):
    before = len(sts.journal())
    ALL[profile].client(sts, SECRET_CLIENT, SECRET)
    [msals] = sts.journal()[before:]
    of_bursar(host, profile, FLOWS["secret"], RESOURCE)
    ours = [entry for entry in sts.journal() if is_bursars(entry) and place(entry) == place(msals)]
    assert ours
    for entry in ours:
        found = differences(fields(msals, certificates), fields(entry, certificates))
        assert found == expected(profile, DISCOVERY, RESOURCE)
