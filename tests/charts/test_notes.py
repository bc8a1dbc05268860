"""The notes warn about what is unsafe in the given values."""

import shutil

import pytest
from chart import CHART, render

AROUND = """apiVersion: v1
kind: ConfigMap
metadata:
  name: notes
data:
  notes: {{ tpl (.Files.Get "files/NOTES.txt") . | toJson }}
"""


@pytest.fixture(scope="module")
def chart(tmp_path_factory):
    """The chart with its notes in an object, since Helm shows them at an installation only."""
    copy = tmp_path_factory.mktemp("notes") / "bursar"
    shutil.copytree(CHART, copy)
    shutil.move(copy / "templates/NOTES.txt", copy / "files/NOTES.txt")
    (copy / "templates/notes.yaml").write_text(AROUND)
    return copy


def notes(chart, file, values=None):
    objects = render(CHART / f"ci/{file}-values.yaml", *([values] if values else []), chart=chart)
    return next(one["data"]["notes"] for one in objects if one["metadata"]["name"] == "notes")


def warnings(text):
    return [line.removeprefix("  WARNING: ") for line in text.splitlines() if "WARNING:" in line]


def test_sound_values_bring_no_warning(chart):
    assert warnings(notes(chart, "deployment-federation")) == []


IDENTITY = {"tenants": ["contoso"], "client_id": "c", "credentials": [{"kind": "assertion", "file": "f"}]}
CALLER = {"proof": {"kind": "header-secret", "file": "f"}, "identities": ["*"], "resources": ["*"]}


@pytest.mark.parametrize(
    ("file", "values", "told"),
    [
        ("deployment-federation", {"image.digest": ""}, "image.digest is not set"),
        (
            "deployment-federation",
            {"config.server": {"allow_unauthenticated": True}},
            "whoever reaches the Service gets tokens",
        ),
        ("deployment-secret", {}, "config.callers is empty"),
        ("deployment-secret", {}, "tls.secretName is not set"),
        ("deployment-secret", {}, "credentials.env PAYROLL_CLIENT_SECRET"),
        ("deployment-secret", {}, "config.log.audit is not set"),
        ("deployment-existing", {}, "existingConfigMap bursar-configuration is not looked into"),
        (
            "deployment-managed-identity",
            {"networkPolicy.extraEgress": []},
            "nothing leads to the host's managed identity",
        ),
        ("deployment-mtls", {"tests.enabled": True}, "'helm test' has nothing to show"),
        ("deployment-managed-identity", {}, "deployment.replicas is less than 2"),
        ("deployment-federation", {"networkPolicy.enabled": False}, "networkPolicy.enabled is false"),
        ("deployment-federation", {"service.type": "LoadBalancer"}, "from outside the cluster"),
        ("deployment-federation", {"podDisruptionBudget.enabled": False}, "may be evicted at once"),
        ("daemonset-csi", {}, "daemonset.maxUnavailable is not 0"),
        ("deployment-federation", {"config.kubernetes.legacy_tokens": True}, "tokens that never end"),
        (
            "deployment-federation",
            {"config.callers.new": {**CALLER, "mode": "audit"}},
            "config.callers.new.mode is audit",
        ),
        (
            "deployment-federation",
            {"config.identities.all": {**IDENTITY, "resources": ["*"]}},
            'config.identities.all.resources is "*"',
        ),
        ("deployment-federation", {"config.tenants.contoso.instance_discovery": False}, "instance_discovery is false"),
        (
            "deployment-federation",
            {"extraEnv": [{"name": "API_TOKEN", "value": "x"}]},
            "extraEnv API_TOKEN looks like a secret",
        ),
        ("daemonset-csi", {}, "none is the ServiceAccount release-bursar, which 'helm test' shows"),
        ("deployment-federation", {"config.cache": {"bytes": "1GiB"}}, "a cache of 1024 MiB"),
        ("sidecar-secret", {"sidecar.resources.limits.memory": "64Mi"}, "a cache of 32 MiB"),
        ("deployment-federation", {"terminationGracePeriodSeconds": 30}, "pods are killed before"),
    ],
)
def test_each_of_these_is_warned_of(chart, file, values, told):
    assert any(told in line for line in warnings(notes(chart, file, values)))


def test_notes_tell_how_workloads_are_pointed_at_it(chart):
    assert "IDENTITY_ENDPOINT=https://release-bursar.pay.svc:4141/msi/token" in notes(chart, "daemonset-certificate")
    assert "IDENTITY_HEADER=what is in the Secret shared-header" in notes(chart, "deployment-secret")
    assert "AZURE_POD_IDENTITY_AUTHORITY_HOST=https://release-bursar.pay.svc:4141\n" in notes(chart, "deployment-mtls")
    assert "configmap release-bursar-sidecar" in notes(chart, "sidecar-secret")
    assert "system:serviceaccount:pay:release-bursar\n" in notes(chart, "deployment-federation")
