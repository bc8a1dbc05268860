"""Values that would not work, or would be unsafe, are refused before anything is installed."""

import json
import tomllib

import jsonschema
import pytest
import yaml
from chart import CHART, NAMESPACE, RELEASE, ROOT, as_set, helm

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())


def refusal(file, values):
    """What Helm says of a file of values with these over it."""
    path = CHART / f"ci/{file}-values.yaml"
    code, _, problem = helm(
        "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", path, "--set-json", as_set(values)
    )
    assert code != 0, "it was taken"
    return problem


IDENTITY = {"tenants": ["contoso"], "client_id": "c", "resources": ["*"]}
SECRETS = [{"kind": "secret", "secret": "hunter2"}]
FILES = "credentials.files"
SECURITY = "securityContext"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicas": 2}, "replicas"),
        ({"image.name": "x"}, "name"),
        ({"deployment.replica": 2}, "replica"),
        ({"config.servers": {}}, "servers"),
        ({"tests.x": 1}, "tests"),
        ({"mode": "statefulset"}, "mode"),
        ({"image.digest": "sha256:abc"}, "image.digest"),
        ({"ports.token": 80}, "ports.token"),
        ({"config.identities.payroll": {**IDENTITY, "credentials": SECRETS}}, "secret is not allowed"),
        ({"config.server": {"header_secret": ["hunter2"]}}, "header_secret"),
        ({"config.callers": {"a": {"proof": {"kind": "header-secret", "value": "hunter2"}}}}, "value is not allowed"),
        ({FILES: [{"name": "a", "value": "hunter2"}]}, "value"),
        ({FILES: [{"name": "a", "secret": {"name": "a"}, "csi": {"driver": "d"}}]}, "oneOf"),
        ({FILES: [{"name": "a/b", "secret": {"name": "a"}}]}, "name"),
        ({"credentials.env": [{"name": "A", "value": "hunter2"}]}, "value is not allowed"),
        ({"config": None}, "config is required"),
        ({"resources": None}, "resources is required"),
        ({"resources.limits": None}, "limits"),
        ({"resources.requests.cpu": None}, "cpu"),
        ({"sidecar.resources": None}, "resources"),
        ({f"{SECURITY}.privileged": True}, "privileged"),
        ({f"{SECURITY}.allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
        ({f"{SECURITY}.readOnlyRootFilesystem": False}, "readOnlyRootFilesystem"),
        ({f"{SECURITY}.runAsUser": 0}, "runAsUser"),
        ({f"{SECURITY}.capabilities.add": ["NET_ADMIN"]}, "add"),
        ({f"{SECURITY}.capabilities.drop": []}, "drop"),
        ({f"{SECURITY}.seccompProfile.type": "Unconfined"}, "seccompProfile"),
        ({"podSecurityContext.runAsNonRoot": False}, "runAsNonRoot"),
        ({"podSecurityContext.seccompProfile": None}, "seccompProfile"),
        ({"hostNetwork": True}, "hostNetwork"),
        ({"extraVolumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "extraVolumes"),
        ({"extraContainers": [{"name": "a", "image": "b"}]}, "securityContext"),
        ({"service.type": "NodePort"}, "service.type"),
        ({"autoscaling.maxReplicas": "many"}, "maxReplicas"),
    ],
    ids=lambda one: "" if isinstance(one, str) else next(iter(one)),
)
def test_the_schema_refuses(values, named):
    problem = refusal("deployment-secret", values)
    assert "don't meet the specifications of the schema" in problem and named in problem.replace("one_of", "oneOf"), (
        problem
    )


CALLER = {"a": {"proof": {"kind": "loopback"}, "identities": ["*"], "resources": ["*"]}}


@pytest.mark.parametrize(
    ("file", "values", "told"),
    [
        ("deployment-secret", {"config": {}}, "there is no configuration"),
        ("deployment-secret", {"existingConfigMap": "a"}, "config is written too"),
        ("deployment-existing", {"headerSecret.secretName": "a"}, "cannot be written into it"),
        ("deployment-secret", {"config.tenants": {}}, "no tenants or no identities"),
        ("deployment-secret", {"config.identities": {}}, "no tenants or no identities"),
        ("deployment-secret", {"config.callers": CALLER}, "whoever shows this is none of them"),
        ("deployment-secret", {"headerSecret.secretName": ""}, "a deployment is reached by other pods"),
        ("daemonset-csi", {"config.callers": {}}, "a daemonset is reached by other pods"),
        ("sidecar-secret", {"tls.secretName": "a"}, "a sidecar serves on loopback"),
        ("deployment-secret", {"tls.clientCASecretName": "a"}, "over TLS alone"),
        ("deployment-secret", {"ports.admin": 4141}, "tokens are served there"),
        ("deployment-secret", {"config.server": {"listen": ["0.0.0.0:5000"]}}, "nothing is at the port 4141"),
        ("deployment-secret", {"config.server": {"admin_listen": "0.0.0.0:5000"}}, "probes ask at the port 4142"),
        ("deployment-mtls", {"config.server.admin_listen": "https://0.0.0.0:4142"}, "ask over http there"),
        ("deployment-secret", {"metrics.https": True}, "no certificate that Prometheus could verify"),
        ("deployment-secret", {"metrics.enabled": False, "serviceMonitor.enabled": True}, "a monitor finds no metrics"),
        ("sidecar-secret", {"metrics.enabled": True, "serviceMonitor.enabled": True}, "a sidecar has no Service"),
        ("deployment-federation", {"podMonitor.enabled": True}, "counts the same pods"),
        ("deployment-secret", {"podDisruptionBudget.minAvailable": 1}, "maxUnavailable is set too"),
        ("daemonset-csi", {"daemonset.maxSurge": 1}, "is 0, and the other is not"),
        ("daemonset-csi", {"daemonset.maxUnavailable": "0%"}, "is 0, and the other is not"),
        ("deployment-federation", {"autoscaling.minReplicas": 9}, "more than maxReplicas"),
        ("daemonset-csi", {FILES: [{"name": "a", "secret": {"name": "a"}}] * 2}, "two are called a"),
    ],
)
def test_what_no_schema_can_refuse_is_refused_with_its_remedy(file, values, told):
    assert told in refusal(file, values)


def test_a_release_whose_name_makes_no_name_of_a_service_is_refused():
    code, _, problem = helm("template", "1st", CHART, "--values", CHART / "ci/deployment-secret-values.yaml")
    assert code != 0 and "names of Services begin with a letter" in problem


def test_all_mistakes_are_told_at_once():
    problem = refusal(
        "deployment-secret", {"headerSecret.secretName": "", "ports.admin": 4141, "tls.clientCASecretName": "a"}
    )
    assert all(path in problem for path in ("config.callers:", "ports.admin:", "tls.clientCASecretName:"))


def test_values_of_a_chart_around_this_one_are_taken():
    path = CHART / "ci/deployment-secret-values.yaml"
    code, _, problem = helm(
        "template", RELEASE, CHART, "--values", path, "--set-json", as_set({"global": {"imageRegistry": "r"}})
    )
    assert code == 0, problem


def resolve(schema):
    """The schema that a reference names."""
    return SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


# Below these, values show some of what may be written.
SHOWN_IN_PART = {
    "config",
    "securityContext",
    "podSecurityContext",
    "resources",
    "startup",
    "readiness",
    "liveness",
    "namespaceSelector",
}


def test_the_schema_and_the_values_know_the_same_keys():
    def compare(values, schema, path):
        assert set(values) == set(schema["properties"]) - {"global"}, path
        for key, value in values.items():
            inner = resolve(schema["properties"][key])
            if isinstance(value, dict) and "properties" in inner and key not in SHOWN_IN_PART:
                compare(value, inner, f"{path}.{key}")

    compare(DEFAULTS, SCHEMA, "")


def test_the_schema_leaves_no_object_open_but_those_of_others():
    def walk(schema, path):
        if isinstance(schema, dict):
            if (
                schema.get("type") == "object"
                and "properties" in schema
                and schema.get("additionalProperties") is not False
            ):
                yield path
            for key, inner in schema.items():
                yield from walk(inner, f"{path}/{key}")

    opened = set(walk(SCHEMA, ""))
    assert all(path.split("/")[2] in ("extraContainer", "identity", "caller", "config") for path in opened), opened


def examples():
    for path in sorted((ROOT / "config").iterdir()):
        text = path.read_text()
        yield path.name, tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)


@pytest.mark.parametrize(("name", "config"), list(examples()), ids=lambda one: one if isinstance(one, str) else "")
def test_the_schema_takes_what_bursar_takes(name, config):
    jsonschema.validate(config, {**SCHEMA["definitions"]["config"], "definitions": SCHEMA["definitions"]})
