"""Pod Security *restricted*, rule by rule.

As https://kubernetes.io/docs/concepts/security/pod-security-standards/ has it. Each rule takes a pod's
spec and says what breaks it. Those of *baseline* come first, which *restricted* includes.
"""

from chart import containers

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
}  # fmt: skip
HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe")
PROFILES = {"RuntimeDefault", "Localhost"}


def contexts(spec):
    """The security contexts of a pod, by whose they are."""
    yield "pod", spec.get("securityContext", {})
    for one in containers(spec):
        yield one["name"], one.get("securityContext", {})


def host_process(spec):
    return [whose for whose, one in contexts(spec) if one.get("windowsOptions", {}).get("hostProcess")]


def host_namespaces(spec):
    return [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]


def privileged(spec):
    return [whose for whose, one in contexts(spec) if one.get("privileged")]


def host_path(spec):
    return [one["name"] for one in spec.get("volumes", []) if "hostPath" in one]


def host_ports(spec):
    return [one["name"] for one in containers(spec) if any(port.get("hostPort") for port in one.get("ports", []))]


def host_of_probes(spec):
    def handlers(one):
        yield from (one.get(handler, {}) for handler in HANDLERS)
        yield from one.get("lifecycle", {}).values()

    def elsewhere(handler):
        return any(handler.get(kind, {}).get("host") for kind in ("httpGet", "tcpSocket"))

    return [one["name"] for one in containers(spec) if any(map(elsewhere, handlers(one)))]


def app_armor(spec):
    return [
        whose
        for whose, one in contexts(spec)
        if one.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in PROFILES
    ]


def selinux(spec):
    def wrong(options):
        return options.get("type", "") not in SELINUX or options.get("user") or options.get("role")

    return [whose for whose, one in contexts(spec) if wrong(one.get("seLinuxOptions", {}))]


def proc_mount(spec):
    return [whose for whose, one in contexts(spec) if one.get("procMount", "Default") != "Default"]


def sysctls(spec):
    return [one["name"] for one in spec.get("securityContext", {}).get("sysctls", []) if one["name"] not in SYSCTLS]


def volume_types(spec):
    return [one["name"] for one in spec.get("volumes", []) if not (set(one) - {"name"}) <= VOLUMES]


def privilege_escalation(spec):
    return [
        one["name"]
        for one in containers(spec)
        if one.get("securityContext", {}).get("allowPrivilegeEscalation") is not False
    ]


def run_as_non_root(spec):
    pod, *others = contexts(spec)
    wanted = [(whose, one.get("runAsNonRoot", pod[1].get("runAsNonRoot"))) for whose, one in others]
    return [whose for whose, value in wanted if value is not True]


def run_as_user(spec):
    return [whose for whose, one in contexts(spec) if one.get("runAsUser") == 0]


def seccomp(spec):
    pod, *others = contexts(spec)
    wanted = [(whose, one.get("seccompProfile", pod[1].get("seccompProfile", {}))) for whose, one in others]
    return [whose for whose, profile in wanted if profile.get("type") not in PROFILES]


def capabilities(spec):
    def wrong(one):
        listed = one.get("securityContext", {}).get("capabilities", {})
        return "ALL" not in listed.get("drop", []) or set(listed.get("add", [])) - {"NET_BIND_SERVICE"}

    return [one["name"] for one in containers(spec) if wrong(one)]


RULES = [
    host_process, host_namespaces, privileged, host_path, host_ports, host_of_probes, app_armor, selinux, proc_mount,
    sysctls, volume_types, privilege_escalation, run_as_non_root, run_as_user, seccomp, capabilities,
]  # fmt: skip


def breaches(spec):
    """The rules that a pod breaks, with what breaks them."""
    return {rule.__name__: found for rule in RULES if (found := rule(spec))}
