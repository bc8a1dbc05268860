"""The configuration that is rendered is one that Bursar takes, and names no file that the container has not."""

import os
import subprocess
import tomllib
from pathlib import PurePosixPath

import material
import pytest
import yaml
from chart import CHART, RELEASE, VALUES, bursar_of, configuration, containers, environment, name_of, pods, render

every_file = pytest.mark.parametrize("values", VALUES, ids=name_of)


def parse(name, text):
    return tomllib.loads(text) if name.endswith(".toml") else yaml.safe_load(text)


def spec_of(objects):
    return next(spec for _, _, spec in pods(objects) if any(one["name"] == "bursar" for one in containers(spec)))


def check(objects, directory):
    """What `bursar check` says of what was rendered, with files made in the place of those that are mounted."""
    name, text = configuration(objects)
    text, _ = material.lay(text, parse(name, text), directory)
    file = directory / name
    file.write_text(text)
    variables = {one["name"]: "a-secret" for one in bursar_of(spec_of(objects)).get("env", []) if "valueFrom" in one}
    command = [os.environ["BURSAR"], "check", "--config", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(**variables))
    return done.returncode, done.stdout + done.stderr


@every_file
def test_bursar_takes_it(values, tmp_path):
    code, told = check(render(values), tmp_path)
    assert code == 0, told
    warnings = [line for line in told.splitlines() if line.startswith("warning:")]
    expected = ("other machines can reach it without TLS", "the file is not there now")
    assert all(any(each in line for each in expected) for line in warnings), warnings


def test_a_mistake_in_it_is_found(tmp_path):
    objects = render(CHART / "ci/deployment-secret-values.yaml", {"config.freshness": {"lat": "5m"}})
    code, told = check(objects, tmp_path)
    assert code == 64 and "freshness.lat" in told


@every_file
def test_every_file_that_it_names_is_mounted(values):
    objects = render(values)
    spec = spec_of(objects)
    sources = {one["name"]: one for one in spec["volumes"]}
    mounts = {one["mountPath"]: sources[one["name"]] for one in bursar_of(spec)["volumeMounts"]}
    for path in map(PurePosixPath, material.named(parse(*configuration(objects)))):
        volume = mounts[str(path.parent)]
        projected = [each["secret"] for each in volume.get("projected", {}).get("sources", []) if "secret" in each]
        items = [item["path"] for one in [volume.get("secret", {}), *projected] for item in one.get("items", [])]
        assert not items or path.name in items, path


@every_file
def test_secrets_are_no_more_readable_than_they_have_to_be(values):
    spec = spec_of(render(values))
    is_sidecar = name_of(values).startswith("sidecar")
    for volume in spec["volumes"]:
        for kind in ("secret", "projected"):
            if kind in volume and volume["name"].startswith("bursar-"):
                # Beside a workload the group is the workload's, and only Bursar mounts them.
                assert volume[kind]["defaultMode"] == (0o444 if is_sidecar else 0o440)
    assert is_sidecar or spec["securityContext"]["fsGroup"]


@pytest.mark.parametrize(("mode", "file"), [("daemonset", "daemonset-csi"), ("deployment", "deployment-vouching")])
def test_it_listens_where_the_service_leads_and_knows_its_names(mode, file):
    objects = render(
        CHART / f"ci/{file}-values.yaml", {"ports.token": 5000, "ports.admin": 5001, "clusterDomain": "corp"}
    )
    server = yaml.safe_load(configuration(objects)[1])["server"]
    assert server["listen"] == ["0.0.0.0:5000"] and server["admin_listen"] == "0.0.0.0:5001"
    name = f"{RELEASE}-bursar"
    assert server["hosts"] == [name, f"{name}.pay", f"{name}.pay.svc", f"{name}.pay.svc.corp"]
    ports = {one["name"]: one["containerPort"] for one in bursar_of(spec_of(objects))["ports"]}
    assert ports == {"token": 5000, "admin": 5001}


def test_a_sidecar_is_on_loopback_and_opens_no_port_without_metrics():
    objects = render(CHART / "ci/sidecar-secret-values.yaml")
    server = yaml.safe_load(configuration(objects)[1])["server"]
    assert server["listen"] == ["127.0.0.1:4141"] and server["admin_listen"] == "127.0.0.1:4142"
    assert "ports" not in bursar_of(spec_of(objects))


def test_what_values_say_goes_before_what_the_chart_knows():
    ours = {
        "config.server": {
            "listen": ["0.0.0.0:4141", "unix:/scratch/bursar.sock"],
            "drain": "20s",
            "hosts": ["tokens.corp"],
        }
    }
    server = yaml.safe_load(configuration(render(CHART / "ci/deployment-secret-values.yaml", ours))[1])["server"]
    assert server["listen"] == ours["config.server"]["listen"] and server["drain"] == "20s"
    assert server["dialects"] == ["app-service"] and server["header_secret"], "what they leave out is still known"
    assert server["hosts"][0] == "release-bursar" and server["hosts"][-1] == "tokens.corp", (
        "callers go on using the Service's names"
    )


def test_large_numbers_stay_numbers():
    _, text = configuration(render(CHART / "ci/deployment-federation-values.yaml"))
    assert "entries: 2000000\n" in text


def test_pods_have_longer_for_their_end_than_requests_take():
    for values in (path for path in VALUES if "existing" not in path.name and not path.name.startswith("sidecar")):
        objects = render(values)
        drain = yaml.safe_load(configuration(objects)[1])["server"]["drain"]
        assert spec_of(objects)["terminationGracePeriodSeconds"] > int(drain.removesuffix("s")) + 30
