"""A sidecar is ready to be pasted, and a chart around this one can include it."""

import shutil

import pytest
import yaml
from chart import CHART, VALUES, bursar_of, find, name_of, render

sidecars = pytest.mark.parametrize(
    "values", [path for path in VALUES if name_of(path).startswith("sidecar")], ids=name_of
)


def pasted(objects):
    return yaml.safe_load(find(objects, "ConfigMap", "-sidecar")["data"]["pod-template.yaml"])


@sidecars
def test_it_is_native_first_and_waited_for(values):
    objects = render(values)
    for spec in (
        pasted(objects)["spec"],
        find(objects, "Deployment")["spec"]["template"]["spec"],
        find(objects, "Pod")["spec"],
    ):
        first = spec["initContainers"][0]
        assert first["name"] == "bursar" and first["restartPolicy"] == "Always" and first["startupProbe"]
        assert {"cpu", "memory"} <= first["resources"]["requests"].keys() and first["resources"]["limits"]["memory"]


@sidecars
def test_the_example_is_what_is_pasted(values):
    objects = render(values)
    example, text = find(objects, "Deployment")["spec"]["template"], pasted(objects)
    assert (
        bursar_of(example["spec"]) == bursar_of(text["spec"]) and example["spec"]["volumes"] == text["spec"]["volumes"]
    )
    assert text["spec"]["containers"][0]["env"] == example["spec"]["containers"][0]["env"][:-1]
    assert text["metadata"]["labels"].items() <= example["metadata"]["labels"].items()


@sidecars
def test_nothing_but_the_sidecar_mounts_credentials(values):
    for spec in (find(render(values), kind)["spec"] for kind in ("Deployment", "Pod")):
        spec = spec.get("template", {}).get("spec", spec)
        assert all("volumeMounts" not in one for one in spec["containers"])


def test_a_workload_is_pointed_at_it_by_what_it_serves():
    def variables(file):
        return {
            one["name"]: one for one in pasted(render(CHART / f"ci/{file}-values.yaml"))["spec"]["containers"][0]["env"]
        }

    header = variables("sidecar-secret")
    assert header["IDENTITY_ENDPOINT"]["value"] == "http://127.0.0.1:4141/msi/token"
    assert header["IDENTITY_HEADER"]["valueFrom"]["secretKeyRef"] == {"name": "payroll-header", "key": "header"}
    assert variables("sidecar-federation")["AZURE_POD_IDENTITY_AUTHORITY_HOST"]["value"] == "http://127.0.0.1:4141"


WORKLOAD = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: payroll
spec:
  selector: {matchLabels: {app: payroll}}
  template:
    metadata:
      labels:
        app: payroll
        {{- include "bursar.sidecar.labels" .Subcharts.bursar | nindent 8 }}
      annotations:
        {{- include "bursar.sidecar.annotations" .Subcharts.bursar | nindent 8 }}
    spec:
      initContainers:
        {{- include "bursar.sidecar" .Subcharts.bursar | nindent 8 }}
      containers:
        - name: payroll
          image: payroll:1
          env:
            {{- include "bursar.sidecar.env" .Subcharts.bursar | nindent 12 }}
      volumes:
        {{- include "bursar.sidecar.volumes" .Subcharts.bursar | nindent 8 }}
"""


@sidecars
def test_a_chart_around_it_includes_the_same(values, tmp_path):
    around = tmp_path / "payroll"
    shutil.copytree(CHART, around / "charts/bursar")
    (around / "templates").mkdir()
    (around / "templates/workload.yaml").write_text(WORKLOAD)
    needs = [{"name": "bursar", "version": "0.1.0"}]
    (around / "Chart.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v2", "name": "payroll", "version": "1.0.0", "dependencies": needs})
    )
    objects = render({"bursar": yaml.safe_load(values.read_text())}, chart=around)
    template = find(objects, "Deployment", "payroll")["spec"]["template"]
    assert bursar_of(template["spec"]) == bursar_of(pasted(objects)["spec"])
    assert template["metadata"]["annotations"]["checksum/bursar-config"]
    assert find(objects, "ConfigMap", "-bursar")
