"""What the chart renders serves tokens: its configuration, its probes and its test, each as a pod would run it."""

import json
import os
import re
from contextlib import contextmanager

import material
import pytest
import yaml
from chart import CHART, bursar_of, configuration, containers, find, pods, render
from processes import authority, free_port, run, running, wait_for

VAULT = "https://vault.azure.net"


def values_for(sts, file):
    """What leads to the STS instead of the public cloud, and listens on loopback."""
    identity = yaml.safe_load(file.read_text())["config"]["identities"]["payroll"]
    return {
        "listenAddress": "127.0.0.1",
        "config.server": {"drain": "0s"},
        "ports": {"token": free_port(), "admin": free_port()},
        "config.tenants.contoso": {"id": sts["tenant"], "authority": sts["authority"], "instance_discovery": False},
        "config.identities.payroll": identity | {"client_id": sts["client_id"]},
    }


@contextmanager
def served(name, sts, directory, values=None):
    """The objects of a file of values, while Bursar runs with their configuration."""
    file = CHART / f"ci/{name}-values.yaml"
    objects = render(file, values_for(sts, file) | (values or {}))
    name, text = configuration(objects)
    text, places = material.lay(text, yaml.safe_load(text), directory)
    for path, place in places.items():
        if path.endswith("client-secret"):
            place.write_text(sts["client_secret"])
    (directory / name).write_text(text)
    container = next(
        bursar_of(spec) for _, _, spec in pods(objects) if any(one["name"] == "bursar" for one in containers(spec))
    )
    with running("serve", "--config", directory / name, PAYROLL_CLIENT_SECRET=sts["client_secret"]):
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            wait_for([os.environ["BURSAR"], *container[probe]["exec"]["command"][1:]])
        yield objects


def variables_of(container, directory, values):
    """The container's variables; whoever asks at the Service's name is led to loopback."""
    known = {one["name"]: one.get("value", "a-header-secret") for one in container["env"]}
    (directory / ".curlrc").write_text(f'connect-to = "release-bursar.pay.svc:4141:127.0.0.1:{values}"\n')
    return {**known, "CURL_HOME": str(directory)}


def port_of(objects):
    return yaml.safe_load(configuration(objects)[1])["server"]["listen"][0].rsplit(":", 1)[1]


@pytest.mark.parametrize("file", ["deployment-secret", "sidecar-secret"])
def test_the_chart_s_own_test_gets_a_token_and_looks_at_its_end(file, tmp_path):
    with authority() as sts, served(file, sts, tmp_path) as objects:
        (container,) = find(objects, "Pod")["spec"]["containers"]
        variables = variables_of(container, tmp_path, port_of(objects))
        assert container["command"] == ["sh", "-c"]
        done = run(["sh", "-c", *container["args"]], **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.fullmatch(rf"a token for {VAULT}, good for 3[56]\d\d s\n", done.stdout), "no word of the token itself"
        late = run(["sh", "-c", *container["args"]], **variables | {"MINIMUM_SECONDS": "4000"})
        assert late.returncode == 1 and "less than 4000 s" in late.stdout
        wrong = run(["sh", "-c", *container["args"]], **variables | {"IDENTITY_HEADER": "wrong"})
        assert wrong.returncode == 1 and "statusCode" in wrong.stdout
        (tmp_path / "proof").write_text("a-header-secret\n")
        proved = run(
            ["sh", "-c", *container["args"]],
            **variables | {"IDENTITY_HEADER": "wrong", "PROOF_FILE": str(tmp_path / "proof")},
        )
        assert proved.returncode == 0, "a service-account token is read from its file"


def test_the_example_says_that_a_token_came(tmp_path):
    with authority() as sts, served("sidecar-secret", sts, tmp_path) as objects:
        (container,) = find(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
        script = container["args"][0].replace("while true; do", "for once in 1; do").replace("sleep 60", ":")
        done = run(["sh", "-c", script], **variables_of(container, tmp_path, port_of(objects)))
        assert done.stdout == "a token came\n", done.stderr


def test_a_sidecar_without_a_header_secret_is_asked_as_instance_metadata(tmp_path):
    port, admin = free_port(), free_port()
    with running("dev", "--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin}"):
        wait_for([os.environ["BURSAR"], "probe", f"http://127.0.0.1:{admin}"])
        objects = render(CHART / "ci/sidecar-federation-values.yaml", {"ports": {"token": port, "admin": admin}})
        (container,) = find(objects, "Pod")["spec"]["containers"]
        done = run(["sh", "-c", *container["args"]], **variables_of(container, tmp_path, port))
        assert done.returncode == 0 and done.stdout.startswith(f"a token for {VAULT}, good for "), (
            done.stdout + done.stderr
        )


ISSUER, AUDIENCE = "https://kubernetes.default.svc.cluster.local", "api://bursar"


def test_over_tls_a_service_account_gets_a_token(tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps(material.key_set()))
    (tmp_path / "ca.pem").write_bytes(material.certificate())
    proof = {"kind": "service-account", "namespace": "pay", "service_account": "release-bursar"}
    values = {
        "headerSecret.secretName": "",
        "tls.secretName": "bursar-tls",
        "config.kubernetes": {"issuer": ISSUER, "audience": [AUDIENCE], "jwks_file": str(tmp_path / "keys.json")},
        "config.callers": {"test": {"proof": proof, "identities": ["payroll"], "resources": ["*"]}},
    }
    with authority() as sts, served("deployment-secret", sts, tmp_path, values) as objects:
        spec = find(objects, "Pod")["spec"]
        (container,) = spec["containers"]
        variables = variables_of(container, tmp_path, port_of(objects))
        assert variables["IDENTITY_ENDPOINT"] == "https://release-bursar.pay.svc:4141/msi/token"
        files = {"PROOF_FILE": str(tmp_path / "proof"), "CA_FILE": str(tmp_path / "ca.pem")}
        assert variables.keys() >= files.keys()
        for account, code in ((spec["serviceAccountName"], 0), ("somebody", 1)):
            (tmp_path / "proof").write_text(material.account_token(ISSUER, AUDIENCE, "pay", account))
            done = run(["sh", "-c", *container["args"]], **variables | files)
            assert done.returncode == code, done.stdout + done.stderr


def test_where_callers_have_accounts_the_test_shows_one():
    objects = render(CHART / "ci/daemonset-certificate-values.yaml")
    spec = find(objects, "Pod")["spec"]
    assert spec["serviceAccountName"] == "bursar-test"
    (container,) = spec["containers"]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    sources = {one["name"]: one for one in spec["volumes"]}
    token = sources["proof"]["projected"]["sources"][0]["serviceAccountToken"]
    assert token["audience"] == "api://bursar" and variables["PROOF_FILE"] == f"{mounts['proof']}/{token['path']}"
    assert variables["CA_FILE"] == f"{mounts['ca']}/ca.crt", "the listener's certificate is verified"
    assert [one["key"] for one in sources["ca"]["secret"]["items"]] == ["ca.crt"], (
        "and its key is no matter of the test"
    )
    assert variables["IDENTITY_ENDPOINT"] == "https://release-bursar.pay.svc:4141/msi/token"
    assert json.loads(variables["MINIMUM_SECONDS"]) == 300
