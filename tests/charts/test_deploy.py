"""What deploy/ has for machines without Kubernetes."""

import json
import os
import re
import subprocess

import pytest
import yaml
from chart import BIN, ROOT
from processes import free_port, run, running, wait_for

COMPOSE = ROOT / "deploy/compose.yaml"
UNIT = ROOT / "deploy/bursar.service"


@pytest.fixture(scope="module")
def composed():
    """The services as Docker Compose understands them."""
    done = run([BIN / "docker-compose", "--file", COMPOSE, "config", "--format", "json"])
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout)["services"]


def test_compose_runs_the_image_of_this_version(composed):
    version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    assert composed["bursar"]["image"] == f"ghcr.io/bursar/bursar:{version}"


def test_containers_have_no_privilege_and_only_the_laptop_reaches_them(composed):
    for one in composed.values():
        assert one["cap_drop"] == ["ALL"] and one["security_opt"] == ["no-new-privileges:true"]
        assert one["read_only"] and one["user"] == "65532:65532" and one["mem_limit"]
        assert all(port["host_ip"] == "127.0.0.1" for port in one.get("ports", []))


def test_the_client_waits_and_gets_a_token(composed, tmp_path):
    bursar, client = composed["bursar"], composed["client"]
    assert client["depends_on"]["bursar"]["condition"] == "service_healthy"
    port, admin = free_port(), free_port()
    command = [word.replace("0.0.0.0:4141", f"127.0.0.1:{port}") for word in bursar["command"]]
    with running(*command, "--admin-listen", f"127.0.0.1:{admin}", **bursar["environment"]):
        check = [os.environ["BURSAR"], *bursar["healthcheck"]["test"][2:]]
        wait_for([*check, f"http://127.0.0.1:{admin}"])
        (tmp_path / ".curlrc").write_text(f'connect-to = "bursar:4141:127.0.0.1:{port}"\n')
        words = [word.replace("$$", "$") for word in [*client["entrypoint"], *client["command"]]]
        done = run(words, **client["environment"], CURL_HOME=str(tmp_path))
    assert done.returncode == 0 and json.loads(done.stdout)["resource"] == "https://vault.azure.net", done.stderr


def test_what_the_file_says_to_export_is_what_dev_accepts(composed):
    text = COMPOSE.read_text()
    assert f"IDENTITY_HEADER={composed['client']['environment']['IDENTITY_HEADER']}" in text


def settings():
    """The unit's settings; one that is written twice adds to itself."""
    found = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_is_as_closed_as_it_says():
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT],
        capture_output=True,
        text=True,
        check=False,
    )
    measured = float(re.search(r"Overall exposure level for bursar.service: ([\d.]+)", done.stdout)[1])
    stated = float(re.search(r"says: exposure ([\d.]+)\.$", UNIT.read_text(), re.M)[1])
    assert measured <= stated, done.stdout
    assert f"rates its exposure {stated} of 10" in (ROOT / "docs/deploying.md").read_text()


def test_systemd_understands_the_unit(tmp_path):
    program = os.environ["BURSAR"]
    (tmp_path / "bursar.service").write_text(UNIT.read_text().replace("/usr/local/bin/bursar", program))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "bursar.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "bursar.service" in line]
    assert not ours, ours


def test_the_unit_runs_what_bursar_has():
    unit = settings()
    for words in (unit["ExecStartPre"][0], unit["ExecStart"][0]):
        program, command, *_ = words.split()
        assert program == "/usr/local/bin/bursar" and run([os.environ["BURSAR"], command, "--help"]).returncode == 0
    assert unit["DynamicUser"] == ["yes"] and all(
        one.startswith("payroll.pem:/etc/bursar/") for one in unit["LoadCredential"]
    )


def test_a_mistake_in_the_configuration_is_not_tried_again(tmp_path):
    (tmp_path / "bursar.toml").write_text("[serve]\n")
    code = run([os.environ["BURSAR"], "serve", "--config", tmp_path / "bursar.toml"]).returncode
    assert settings()["RestartPreventExitStatus"] == [str(code)]


def test_the_unit_gives_requests_longer_than_they_take():
    assert int(settings()["TimeoutStopSec"][0]) > 5 + 30


def test_compose_is_yaml_that_needs_no_variable():
    assert set(yaml.safe_load(COMPOSE.read_text())["services"]) == {"bursar", "client"}
