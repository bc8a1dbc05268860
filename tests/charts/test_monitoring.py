"""Alerts and dashboard ask for metrics that there are, and those of a release for its own."""

import json
import os
import re
import subprocess

import pytest
import yaml
from chart import CHART, ROOT, find, name_of, render

ALERTS = CHART / "files/alerts.yaml"
CASES = ROOT / "tests/charts/alerts.test.yaml"
DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text())
METRIC = re.compile(r"\bbursar_[a-z_]+")
FULL = CHART / "ci/deployment-federation-values.yaml"
SIDECAR = CHART / "ci/sidecar-federation-values.yaml"


def promtool(*arguments):
    """What promtool says, which has to be content."""
    done = subprocess.run([os.environ["PROMTOOL"], *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def known():
    """The metrics that the code registers."""
    registered = {
        name for path in (ROOT / "src").rglob("*.rs") for name in re.findall(r'"(bursar_[a-z_]+)"', path.read_text())
    }
    assert len(registered) > 8
    return registered


def rules():
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def expressions():
    """The dashboard's, as Grafana sends them."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m")


def test_prometheus_reads_the_alerts():
    assert f"{len(rules())} rules found" in promtool("check", "rules", ALERTS)


def test_alerts_fire_when_they_should():
    promtool("test", "rules", CASES)


def test_each_alert_is_seen_to_fire_and_not_to_fire():
    seen = {True: set(), False: set()}
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for one in case["alert_rule_test"]:
            seen["exp_alerts" in one].add(one["alertname"])
    assert seen[True] == seen[False] == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("values", [FULL, SIDECAR], ids=name_of)
def test_the_alerts_of_a_release_are_the_same_for_itself_alone(values, tmp_path):
    groups = find(render(values), "PrometheusRule")["spec"]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(groups))
    cases = yaml.safe_load(CASES.read_text()) | {"rule_files": ["alerts.yaml"]}
    for case in cases["tests"]:
        for one in case["alert_rule_test"]:
            # absent() takes over what its selector says.
            if one["alertname"] == "BursarAbsent" and "exp_alerts" in one:
                one["exp_alerts"][0]["exp_labels"] |= {"namespace": "pay", "job": "release-bursar"}
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(cases))
    promtool("test", "rules", tmp_path / "cases.yaml")
    chosen = re.findall(
        METRIC.pattern + r"\{[^}]*", "".join(rule["expr"] for group in groups["groups"] for rule in group["rules"])
    )
    assert len(chosen) > 15 and all('{namespace="pay",job="release-bursar",' in one for one in chosen)


def test_alerts_of_sidecars_in_several_namespaces_go_by_their_job():
    objects = render(SIDECAR, {"podMonitor.namespaceSelector": {"any": True}})
    assert '{job="release-bursar",' in str(find(objects, "PrometheusRule")) and "namespace=" not in str(
        find(objects, "PrometheusRule")
    )
    assert find(objects, "PodMonitor")["spec"]["namespaceSelector"] == {"any": True}


def test_every_selector_can_be_narrowed():
    for rule in rules():
        assert all(rule["expr"][found.end()] == "{" for found in METRIC.finditer(rule["expr"])), rule["alert"]


def test_every_alert_says_how_bad_it_is_and_what_to_do():
    for rule in rules():
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
    steps = [rule["labels"]["severity"] for rule in rules() if rule["alert"].startswith("BursarCredentialExpires")]
    assert steps == ["info", "warning", "critical"]


def test_there_is_every_metric_that_is_asked_for():
    asked = {name for text in [*(rule["expr"] for rule in rules()), *expressions()] for name in METRIC.findall(text)}
    assert {name.removesuffix("_bucket") for name in asked} <= known()


def test_the_dashboard_shows_every_metric():
    assert known() == {name.removesuffix("_bucket") for text in expressions() for name in METRIC.findall(text)}


def test_prometheus_reads_the_dashboard(tmp_path):
    records = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(expressions())]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": records}]}))
    promtool("check", "rules", tmp_path / "rules.yaml")


def test_panels_have_their_own_place_and_ask_for_the_chosen_release():
    cells = [(x, y) for one in DASHBOARD["panels"] for x, y in places(one["gridPos"])]
    assert len(cells) == len(set(cells)) and all(x < 24 for x, _ in cells)
    assert len({one["id"] for one in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all('namespace=~"$namespace",job=~"$job"' in text for text in expressions())
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource", "namespace", "job"]


def places(grid):
    return [(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])]


def test_the_dashboards_of_two_releases_are_two():
    first, second = (
        json.loads(next(iter(find(render(FULL, release=name), "ConfigMap", "-dashboard")["data"].values())))
        for name in "ab"
    )
    assert first["uid"] != second["uid"] and first["title"] != second["title"]
    assert first["panels"] == second["panels"] == DASHBOARD["panels"]


def test_monitors_find_what_they_monitor():
    objects = render(FULL)
    monitor = find(objects, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    chosen = monitor["spec"]["selector"]["matchLabels"].items()
    (service,) = [one for one in objects if one["kind"] == "Service" and chosen <= one["metadata"]["labels"].items()]
    assert [one["name"] for one in service["spec"]["ports"]] == [monitor["spec"]["endpoints"][0]["port"]]
    objects = render(SIDECAR)
    monitor = find(objects, "PodMonitor")["spec"]
    pod = find(objects, "Deployment")["spec"]["template"]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    ports = [port["name"] for port in pod["spec"]["initContainers"][0]["ports"]]
    assert ports == [monitor["podMetricsEndpoints"][0]["port"]]
