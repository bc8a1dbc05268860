"""The chart, and what Helm makes of it."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/bursar"
BIN = Path(sys.executable).parent
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
RELEASE, NAMESPACE = "release", "pay"
POD_OWNERS = {"Deployment", "DaemonSet"}


def helm(*arguments):
    """What Helm says, and whether it is content."""
    done = subprocess.run([BIN / "helm", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def template(*values, release=RELEASE, namespace=NAMESPACE, chart=CHART):
    """The text that Helm renders of these files of values, or of values as they are."""
    arguments = ["template", release, str(chart), "--namespace", namespace]
    for one in values:
        arguments += ["--values", str(one)] if isinstance(one, Path) else ["--set-json", as_set(one)]
    return once(*arguments)


@cache
def once(*arguments):
    """What Helm renders; most tests look at the same."""
    code, text, problem = helm(*arguments)
    assert code == 0, problem
    return text


def as_set(values):
    """A tree as --set-json takes it: each of its first keys with its JSON."""
    return ",".join(f"{path}={json.dumps(value)}" for path, value in values.items())


class Strict(yaml.SafeLoader):
    """YAML in which no key stands twice, since whoever reads it might take either."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {sorted(map(str, keys))}"
        return super().construct_mapping(node, deep)


def render(*values, **options):
    """The objects that Helm renders."""
    return [one for one in yaml.load_all(template(*values, **options), Strict) if one]


def find(objects, kind, suffix=""):
    """The only object of a kind whose name ends so."""
    (found,) = [one for one in objects if one["kind"] == kind and one["metadata"]["name"].endswith(suffix)]
    return found


def pods(objects):
    """The pods that come of the objects: whose they are, their metadata and their spec."""
    for one in objects:
        if one["kind"] == "Pod":
            yield one["metadata"]["name"], one["metadata"], one["spec"]
        elif one["kind"] in POD_OWNERS:
            template = one["spec"]["template"]
            yield one["metadata"]["name"], template["metadata"], template["spec"]


def containers(spec):
    """All containers of a pod."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def bursar_of(spec):
    """The container that runs Bursar."""
    (found,) = [one for one in containers(spec) if one["name"] == "bursar"]
    return found


def configuration(objects):
    """Bursar's configuration, with the name of its file."""
    (spec,) = [spec for _, _, spec in pods(objects) if any(one["name"] == "bursar" for one in containers(spec))][:1]
    (volume,) = [one for one in spec["volumes"] if one["name"] == "bursar-config"]
    config_map = find(objects, "ConfigMap", volume["configMap"]["name"])
    name = Path(bursar_of(spec)["args"][-1]).name
    return name, config_map["data"][name]


def name_of(path):
    """How a test with this file is called."""
    return path.name.removesuffix("-values.yaml")


def environment(**more):
    """The variables of a program that is run, without those that would lead it elsewhere."""
    led = ("AZURE_", "BURSAR__", "IDENTITY_", "MSI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(led)}
    return {**kept, "NO_PROXY": "*", **more}
