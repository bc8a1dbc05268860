"""Nothing that the chart renders needs a privilege."""

from copy import deepcopy

import pytest
import yaml
from chart import VALUES, bursar_of, find, name_of, pods, render
from pod_security import breaches

SOUND = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "a", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
    "volumes": [{"name": "v", "secret": {}}],
}
BROKEN = {
    "host_process": ("containers.0.securityContext.windowsOptions", {"hostProcess": True}),
    "host_namespaces": ("hostPID", True),
    "privileged": ("containers.0.securityContext.privileged", True),
    "host_path": ("volumes.0", {"name": "v", "hostPath": {"path": "/"}}),
    "host_ports": ("containers.0.ports", [{"containerPort": 1, "hostPort": 1}]),
    "host_of_probes": ("containers.0.livenessProbe", {"httpGet": {"host": "10.0.0.1"}}),
    "app_armor": ("securityContext.appArmorProfile", {"type": "Unconfined"}),
    "selinux": ("securityContext.seLinuxOptions", {"type": "spc_t"}),
    "proc_mount": ("containers.0.securityContext.procMount", "Unmasked"),
    "sysctls": ("securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
    "volume_types": ("volumes.0", {"name": "v", "nfs": {}}),
    "privilege_escalation": ("containers.0.securityContext.allowPrivilegeEscalation", None),
    "run_as_non_root": ("containers.0.securityContext.runAsNonRoot", False),
    "run_as_user": ("containers.0.securityContext.runAsUser", 0),
    "seccomp": ("securityContext.seccompProfile", {"type": "Unconfined"}),
    "capabilities": ("containers.0.securityContext.capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
}


def changed(spec, path, value):
    """The spec with another value in this place."""
    spec = deepcopy(spec)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = spec
    for step in way:
        place = place[step]
    place[last] = value
    return spec


def test_the_rules_find_what_breaks_them():
    assert breaches(SOUND) == {}
    for rule, (path, value) in BROKEN.items():
        found = breaches(changed(SOUND, path, value))
        assert rule in found and set(found) <= {rule, "volume_types"}, (rule, found)


@pytest.mark.parametrize("values", VALUES, ids=name_of)
def test_every_pod_is_restricted(values):
    found = [(name, breaches(spec)) for name, _, spec in pods(render(values))]
    assert found and all(not broken for _, broken in found), found


@pytest.mark.parametrize("values", [path for path in VALUES if name_of(path).startswith("sidecar")], ids=name_of)
def test_a_sidecar_is_restricted_in_whatever_pod_it_is_pasted(values):
    pasted = yaml.safe_load(find(render(values), "ConfigMap", "-sidecar")["data"]["pod-template.yaml"])
    assert breaches({"containers": [bursar_of(pasted["spec"])], "volumes": pasted["spec"]["volumes"]}) == {}


def test_the_root_file_system_cannot_be_written():
    for file in VALUES:
        for _, _, spec in pods(render(file)):
            bound = [
                one
                for one in [*spec.get("initContainers", []), *spec["containers"]]
                if one["name"] not in ("wait", "shipper")
            ]
            assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in bound)
