"""What Helm renders is what Kubernetes takes, and each object is named and labelled as its release's own."""

import re

import kubernetes_validate
import pytest
import yaml
from chart import (
    CHART,
    NAMESPACE,
    RELEASE,
    VALUES,
    bursar_of,
    configuration,
    containers,
    find,
    helm,
    name_of,
    once,
    pods,
    render,
    template,
)
from monitoring import GROUP, validate
from pod_security import breaches

OLDEST, NEWEST = "1.29", "1.37"
DEPLOYMENT = CHART / "ci/deployment-federation-values.yaml"
DAEMONSET = CHART / "ci/daemonset-certificate-values.yaml"

every_file = pytest.mark.parametrize("values", VALUES, ids=name_of)


def test_each_mode_and_each_kind_of_credential_has_its_values():
    texts = {name_of(path): path.read_text() for path in VALUES}
    for mode in ("sidecar", "daemonset", "deployment"):
        assert sum(name.startswith(mode) for name in texts) >= 2
    for kind in ("secret", "certificate", "assertion", "identity", "managed-identity"):
        assert any(f"- kind: {kind}\n" in text for text in texts.values()), kind
    for source in ("secret:\n", "csi:\n", "projected:\n", "env:\n", "existingConfigMap:", "workloadIdentity:"):
        assert any(source in text for text in texts.values()), source


@every_file
def test_helm_finds_nothing_to_complain_of(values):
    code, told, problem = helm("lint", "--strict", CHART, "--values", values)
    assert code == 0, told + problem


@every_file
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(values, version):
    for one in render(values):
        if one["apiVersion"].startswith(GROUP):
            validate(one)
        else:
            kubernetes_validate.validate(one, version, strict=True)


def test_the_oldest_version_is_the_one_that_the_chart_asks_for():
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">={OLDEST}.0-0"


@every_file
def test_the_same_values_render_the_same_text(values):
    first = template(values)
    once.cache_clear()
    assert template(values) == first


@every_file
def test_every_object_is_named_and_labelled(values):
    labels = {
        "app.kubernetes.io/name": "bursar",
        "app.kubernetes.io/instance": RELEASE,
        "app.kubernetes.io/part-of": "bursar",
    }
    labels |= {
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/version": "0.1.0",
        "helm.sh/chart": "bursar-0.1.0",
    }
    for one in (one for one in render(values) if one["metadata"]["name"] != "bursar-configuration"):
        metadata = one["metadata"]
        if one["kind"] == "ClusterRoleBinding":
            assert metadata["name"].startswith(f"{NAMESPACE}:{RELEASE}-bursar:") and "namespace" not in metadata
        else:
            assert re.fullmatch(rf"{RELEASE}-bursar(-[a-z]+)?", metadata["name"]) and metadata["namespace"] == NAMESPACE
        assert labels.items() <= metadata["labels"].items() and metadata["labels"]["app.kubernetes.io/component"]


@pytest.mark.parametrize("file", ["deployment-federation", "daemonset-csi", "sidecar-secret"])
def test_labels_of_the_operator_s_own_select_nothing_and_stand_once(file):
    labels = {
        "app.kubernetes.io/part-of": "shop",
        "app.kubernetes.io/instance": "other",
        "app.kubernetes.io/component": "other",
    }
    objects = render(
        CHART / f"ci/{file}-values.yaml", {"commonLabels": labels, "podLabels": labels, "commonAnnotations": {"a": "b"}}
    )
    ours = [one["metadata"] for one in objects if not one["metadata"]["name"].endswith("-more")]
    for metadata in [*ours, *(metadata for _, metadata, _ in pods(objects))]:
        found = metadata["labels"]
        assert found["app.kubernetes.io/part-of"] == "shop" and metadata["annotations"]["a"] == "b"
        assert found["app.kubernetes.io/instance"] == RELEASE and found["app.kubernetes.io/component"] != "other"


def test_where_the_cluster_gives_users_their_numbers_none_is_written():
    numbers = {"runAsUser", "runAsGroup", "fsGroup"}
    values = {f"podSecurityContext.{name}": None for name in numbers}
    values |= {f"securityContext.{name}": None for name in numbers - {"fsGroup"}}
    spec = find(render(CHART / "ci/deployment-secret-values.yaml", values), "Deployment")["spec"]["template"]["spec"]
    assert not numbers & (spec["securityContext"].keys() | bursar_of(spec)["securityContext"].keys())
    assert breaches(spec) == {}


@every_file
def test_what_selects_pods_finds_those_of_bursar_alone(values):
    objects = render(values)
    labels = [metadata["labels"] for _, metadata, _ in pods(objects)]
    for one in (one for one in objects if not one["apiVersion"].startswith(GROUP)):
        if selector := selector_of(one):
            component = "example" if one["metadata"]["name"].endswith("-example") else "server"
            found = [each["app.kubernetes.io/component"] for each in labels if selector.items() <= each.items()]
            assert found == [component]


def selector_of(one):
    """By which labels an object selects pods, if it does."""
    spec = one.get("spec", {})
    found = spec.get("podSelector") or spec.get("selector", {})
    return found.get("matchLabels") if one["kind"] != "Service" else found


def identities(objects):
    return {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects}


LONG = "a-release-whose-name-is-as-long-as-helm-lets-it-be-1"


@pytest.mark.parametrize(
    ("one", "other"),
    [("bursar", "release"), ("x", "x-bursar"), ("bursar", "bursar-metrics"), (LONG + "a", LONG + "b"), ("a.b", "a-b")],
)
@pytest.mark.parametrize("values", [DEPLOYMENT, DAEMONSET, CHART / "ci/sidecar-secret-values.yaml"], ids=name_of)
def test_two_releases_in_a_namespace_do_not_clash(values, one, other):
    first, second = render(values, release=one), render(values, release=other)
    assert not identities(first) & identities(second)
    assert max(len(name) for _, _, name in identities(first) if ":" not in name) <= 63
    for chosen in (each for each in first if each["kind"] == "Service"):
        for _, metadata, _ in pods(second):
            assert not chosen["spec"]["selector"].items() <= metadata["labels"].items()


def test_releases_of_two_namespaces_do_not_clash_where_there_are_no_namespaces():
    first, second = render(DEPLOYMENT, namespace="a"), render(DEPLOYMENT, namespace="b")
    assert not identities(first) & identities(second)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "ghcr.io/bursar/bursar:0.1.0"),
        ({"tag": "1.2.3"}, "ghcr.io/bursar/bursar:1.2.3"),
        ({"tag": "1.2.3", "digest": "sha256:" + "a" * 64}, "ghcr.io/bursar/bursar@sha256:" + "a" * 64),
        ({"repository": "registry.corp:5000/b"}, "registry.corp:5000/b:0.1.0"),
    ],
)
def test_a_digest_goes_before_a_tag(image, expected):
    values = {f"image.{key}": value for key, value in image.items()}
    for file in ("deployment-secret", "sidecar-secret"):
        for _, _, spec in pods(render(CHART / f"ci/{file}-values.yaml", values)):
            for one in (one for one in containers(spec) if one["name"] == "bursar"):
                assert one["image"] == expected


def checksum(*values):
    (template,) = [metadata for name, metadata, _ in pods(render(*values)) if not name.endswith("-test")]
    return template["annotations"].get("checksum/config") or template["annotations"].get("checksum/bursar-config")


@pytest.mark.parametrize("file", ["deployment-secret", "daemonset-csi", "sidecar-secret"])
def test_another_configuration_rolls_the_pods_out(file):
    values = CHART / f"ci/{file}-values.yaml"
    assert checksum(values) == checksum(values, {"networkPolicy.enabled": False})
    assert checksum(values) != checksum(values, {"config.log": {"level": "debug"}})


@every_file
def test_pods_get_no_token_of_the_api_server_unasked(values):
    asked = name_of(values) in ("daemonset-certificate", "deployment-existing", "deployment-federation")
    objects = render(values)
    assert all(one["automountServiceAccountToken"] is False for one in objects if one["kind"] == "ServiceAccount")
    for _, _, spec in pods(objects):
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
        mounts = [one["mountPath"] for each in containers(spec) for one in each.get("volumeMounts", [])]
        runs_bursar = any(one["name"] == "bursar" for one in containers(spec))
        assert ("/var/run/secrets/kubernetes.io/serviceaccount" in mounts) == (asked and runs_bursar)


@every_file
def test_every_mount_has_its_volume_and_secrets_are_whole_directories(values):
    for _, _, spec in pods(render(values)):
        volumes = [one["name"] for one in spec.get("volumes", [])]
        assert len(volumes) == len(set(volumes))
        for one in containers(spec):
            mounts = one.get("volumeMounts", [])
            assert {each["name"] for each in mounts} <= set(volumes)
            assert len({each["mountPath"] for each in mounts}) == len(mounts)
            assert all("subPath" not in each and (each.get("readOnly") or each["name"] == "scratch") for each in mounts)


@every_file
def test_resources_are_always_set(values):
    for _, _, spec in pods(render(values)):
        for one in containers(spec):
            assert {"cpu", "memory"} <= one["resources"]["requests"].keys() and "memory" in one["resources"]["limits"]


def test_a_daemonset_is_reached_on_its_own_node():
    objects = render(DAEMONSET)
    service = next(
        one for one in objects if one["kind"] == "Service" and not one["metadata"]["name"].endswith("metrics")
    )
    assert service["spec"]["internalTrafficPolicy"] == "Local"
    spec = find(objects, "DaemonSet")["spec"]
    assert spec["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": "10%"}
    pod = spec["template"]["spec"]
    assert pod["tolerations"] == [{"operator": "Exists"}] and pod["priorityClassName"] == "system-node-critical"
    assert not any("hostPort" in port for one in containers(pod) for port in one.get("ports", []))


def test_a_deployment_keeps_its_pods_apart_and_there():
    objects = render(CHART / "ci/deployment-secret-values.yaml")
    spec = find(objects, "Deployment")["spec"]
    assert spec["replicas"] == 2 and spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    spread = spec["template"]["spec"]["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    assert all(one["labelSelector"]["matchLabels"] == spec["selector"]["matchLabels"] for one in spread)
    assert find(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert "internalTrafficPolicy" not in find(objects, "Service", "-bursar")["spec"]
    scaled = render(DEPLOYMENT)
    assert "replicas" not in find(scaled, "Deployment")["spec"]
    assert find(scaled, "HorizontalPodAutoscaler")["spec"]["metrics"][0]["resource"]["name"] == "cpu"
    alone = render(CHART / "ci/deployment-managed-identity-values.yaml")
    assert not [one for one in alone if one["kind"] == "PodDisruptionBudget"], "it would keep a node from being drained"


def ports_to(rules, peer):
    return [port["port"] for rule in rules if any(peer in one for one in rule.get("to", [])) for port in rule["ports"]]


def test_a_network_policy_lets_callers_in_and_leads_to_authorities():
    spec = find(render(DEPLOYMENT), "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["ports"][0]["port"] for rule in spec["ingress"]] == ["token", "admin"] and all(
        rule["from"] for rule in spec["ingress"]
    )
    assert ports_to(spec["egress"], "ipBlock") == [443, 443, 6443]
    assert [port["port"] for rule in spec["egress"] if "to" not in rule for port in rule["ports"]] == [53, 53]
    without = find(render(CHART / "ci/deployment-secret-values.yaml"), "NetworkPolicy")["spec"]
    assert ports_to(without["egress"], "ipBlock") == [443], "who fetches nothing from the API server gets no way to it"


@pytest.mark.parametrize(
    ("values", "roles"),
    [
        (DEPLOYMENT, {"system:auth-delegator", "system:service-account-issuer-discovery"}),
        (CHART / "ci/deployment-existing-values.yaml", {"system:auth-delegator"}),
        (DAEMONSET, set()),
        (CHART / "ci/sidecar-secret-values.yaml", set()),
    ],
    ids=lambda one: name_of(one) if hasattr(one, "name") else "",
)
def test_cluster_roles_are_bound_where_tokens_are_reviewed(values, roles):
    bindings = [one for one in render(values) if one["kind"] == "ClusterRoleBinding"]
    assert {one["roleRef"]["name"] for one in bindings} == roles
    assert all(
        one["subjects"] == [{"kind": "ServiceAccount", "name": "release-bursar", "namespace": NAMESPACE}]
        for one in bindings
    )


@every_file
def test_probes_run_the_program_at_its_own_address(values):
    for _, _, spec in pods(render(values)):
        if any(one["name"] == "bursar" for one in containers(spec)):
            one = bursar_of(spec)
            place = "http://[::1]:4142" if "[::]" in values.read_text() else "http://127.0.0.1:4142"
            asked = [one[probe]["exec"]["command"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
            assert asked == [[one["command"][0], "probe", place + path] for path in ("", "", "/healthz")]


def test_probes_and_monitors_ask_over_https_where_that_is_served():
    values, verified = CHART / "ci/deployment-mtls-values.yaml", {"serverName": "bursar.pay.svc"}
    https = {"metrics.https": True, "metrics.tlsConfig": verified}
    objects = render(values, {**https, "serviceMonitor.enabled": True})
    assert yaml.safe_load(configuration(objects)[1])["server"]["admin_listen"] == "https://0.0.0.0:4142"
    (spec,) = [spec for _, _, spec in pods(objects) if any(one["name"] == "bursar" for one in containers(spec))]
    assert bursar_of(spec)["readinessProbe"]["exec"]["command"][-1] == "https://127.0.0.1:4142"
    (endpoint,) = find(objects, "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", verified)
    objects = render(values, {**https, "podMonitor.enabled": True})
    (endpoint,) = find(objects, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", verified)
    (endpoint,) = find(render(values, {"serviceMonitor.enabled": True}), "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["scheme"] == "http" and "tlsConfig" not in endpoint
