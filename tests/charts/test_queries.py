"""Every query of the dashboard, and every alert, asked of a Prometheus that scrapes a Bursar with traffic."""

import base64
import json
import math
import re
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from chart import CHART, find, render
from processes import authority, free_port, running, wait_for
from prometheus import DIRECT, prometheus

FULL = CHART / "ci/deployment-federation-values.yaml"
LABELS = {"job": "release-bursar", "namespace": "pay", "pod": "release-bursar-0"}
# What Grafana makes of $__rate_interval for a short scrape interval and a minute of panel.
RATE_INTERVAL = "1m"
# Each that gives nothing here, and why.
EMPTY = {"BursarAbsent": "there is a Bursar; it is seen to fire once there is none"}

NAMES = ["payroll", "reports", "stale", "down"]
APPS = {name: f"b0b00000-0000-4000-8000-0000000000{n:02}" for n, name in enumerate(NAMES, 10)}
STS = "".join(f'[[apps]]\nclient_id = "{client_id}"\nsecrets = ["the-secret"]\n' for client_id in APPS.values())
# Tokens are due for renewal as soon as they are there, and an outage is never covered for ten minutes.
STS = f'token_lifetime = "5m"\nrefresh_in = "2s"\n{STS}'


def configuration(sts, ports):
    """Several identities: one that works, one whose first secret is wrong, and two to be troubled by the authority."""
    tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 12 * 3600))
    good, federated = '{ kind = "secret", file = "secret" }', '{ kind = "assertion", file = "assertion" }'
    credentials = {
        "payroll": f'{{ kind = "secret", file = "secret", expires = "{tomorrow}" }}, {federated}',
        "reports": f'{{ kind = "secret", file = "wrong" }}, {good}',
    }
    identities = "".join(
        f'[identities.{name}]\ntenants = ["one"]\nclient_id = "{client_id}"\n'
        f'resources = ["https://vault.azure.net"]\ncredentials = [{credentials.get(name, good)}]\n'
        for name, client_id in APPS.items()
    )
    return f"""
[server]
listen = ["127.0.0.1:{ports.tokens}"]
admin_listen = "127.0.0.1:{ports.admin}"
drain = "0s"
[tenants.one]
id = "{sts["tenant"]}"
authority = "{sts["authority"]}"
instance_discovery = false
{identities}"""


def assertion():
    """A federated token whose issuer has not renewed it in time."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + 300}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{claims}.c2lnbmF0dXJl"


def ask(ports, identity, resource="https://vault.azure.net"):
    """The status of a request for a token."""
    target = f"http://127.0.0.1:{ports.tokens}/token?resource={resource}&identity={identity}"
    try:
        with DIRECT.open(urllib.request.Request(target, headers={"Metadata": "true"}), timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def many(times, *arguments):
    """The statuses of so many requests at once."""
    with ThreadPoolExecutor(8) as crew:
        return set(crew.map(lambda _: ask(*arguments), range(times)))


def trouble(sts, *rules):
    DIRECT.open(f"{sts['authority']}/_sts/faults", json.dumps(rules).encode(), timeout=10).close()


def of_app(name, **what):
    return {"match": {"path": "/oauth2/v2.0/token", "client_id": APPS[name]}, **what}


def round_of_traffic(sts, ports):
    """Hits, misses, a refused caller who goes on asking, and authorities that fail and that take their time."""
    assert many(8, ports, "payroll") == many(8, ports, "reports") == {200}
    assert many(40, ports, "payroll", "https://graph.microsoft.com") == {403}
    assert ask(ports, "down") == 503
    # Where nobody has a token yet several wait for one exchange.
    trouble(sts, of_app("payroll", delay_ms=3500, times=1))
    with ThreadPoolExecutor(3) as crew:
        demands = [crew.submit(ask, ports, "payroll&bypass_cache=true") for _ in range(3)]
        assert {one.result() for one in demands} == {200}


@contextmanager
def scraped(directory):
    """A Bursar after two rounds of traffic, each of which Prometheus has seen the end of."""
    ports = SimpleNamespace(tokens=free_port(), admin=free_port())
    (directory / "sts.toml").write_text(STS)
    for name, text in (("secret", "the-secret"), ("wrong", "no-secret"), ("assertion", assertion())):
        (directory / name).write_text(text)
    groups = find(render(FULL), "PrometheusRule")["spec"]["groups"]
    with (
        authority("--config", directory / "sts.toml") as sts,
        prometheus(directory, f"127.0.0.1:{ports.admin}", LABELS, groups) as server,
    ):
        (directory / "bursar.toml").write_text(configuration(sts, ports))
        with running("serve", "--config", directory / "bursar.toml"):
            wait_for(["curl", "-sSf", f"http://127.0.0.1:{ports.admin}/readyz"])
            # What stands at zero before it grows.
            server.wait_for('bursar_credential_rejections_total{identity="reports"} == 0')
            assert ask(ports, "stale") == 200
            trouble(sts, of_app("down", status=503), of_app("stale", status=503))
            for n in (1, 2):
                round_of_traffic(sts, ports)
                server.wait_for(f'bursar_requests_total{{outcome="access_denied"}} == {40 * n}')
            # Counters have to have grown, beyond the first value that was seen.
            for renewed in ('identity="stale",outcome!="ok"', 'identity="payroll",outcome="ok"'):
                server.wait_for(f"increase(bursar_refreshes_total{{{renewed}}}[1m]) > 0")
            # A change that cannot be used: what was there before goes on.
            with (directory / "bursar.toml").open("a") as file:
                file.write("[nobody]\n")
            server.wait_for("bursar_reload_successful == 0 and on (what) count_over_time(bursar_reloads_total[1m]) > 1")
            yield SimpleNamespace(server=server, ports=ports, groups=groups)
        server.wait_for(rule_of(groups, "BursarAbsent"))


def rule_of(groups, name):
    return next(rule["expr"] for group in groups for rule in group["rules"] if rule["alert"] == name)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with scraped(tmp_path_factory.mktemp("queries")) as there:
        yield there


def dashboard():
    """That of the release whose alerts they are."""
    (text,) = find(render(FULL), "ConfigMap", "-dashboard")["data"].values()
    return json.loads(text)


def filled(expression, values):
    """A query as Grafana sends it, with what was chosen of each variable."""
    text = expression.replace("$__rate_interval", RATE_INTERVAL)
    for name, chosen in values.items():
        text = text.replace(f"${name}", chosen)
    assert "$" not in text.replace('$"', ""), f"a variable that nobody fills in: {text}"
    return text


def chosen(value):
    """One value of a variable of which several can be chosen: text in a regular expression, in a string of PromQL."""
    return re.sub(r"[\\^$.*+?()\[\]{}|]", lambda found: "\\\\" + found[0], value)


CHOICES = {
    "all": {"namespace": ".*", "job": ".*"},
    "one": {name: chosen(LABELS[name]) for name in ("namespace", "job")},
    "several": {name: f"(other|{chosen(LABELS[name])})" for name in ("namespace", "job")},
}
PANELS = [(panel["title"], target) for panel in dashboard()["panels"] for target in panel["targets"]]
ALERTS = [rule for group in find(render(FULL), "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize(("title", "target"), PANELS, ids=[f"{title}-{target['refId']}" for title, target in PANELS])
def test_every_panel_has_data(world, title, target, choice):
    query = filled(target["expr"], CHOICES[choice])
    series = world.server.now(query) if target.get("instant") else world.server.lately(query)
    assert_data(series, query)
    for one in series:
        named = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
        assert named | grouped(query) <= one["metric"].keys(), f"{title} names labels that are not there: {one}"


@pytest.mark.parametrize("choice", CHOICES)
def test_the_variables_have_values(world, choice):
    for variable in dashboard()["templating"]["list"][1:]:
        query = variable["query"]["query"].replace("$namespace", CHOICES[choice]["namespace"])
        (selector, label) = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
        assert world.server.get(f"label/{label}/values", **{"match[]": selector}) == [LABELS[label]]


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_every_alert_finds_what_it_looks_for(world, rule):
    series = world.server.now(rule["expr"])
    if rule["alert"] in EMPTY:
        assert not series
        return
    assert_data(series, rule["expr"])
    said = "".join(rule["annotations"].values())
    for one in series:
        named = set(re.findall(r"\$labels\.(\w+)", said))
        assert named | grouped(rule["expr"]) <= one["metric"].keys(), f"labels that are not there: {one}"


def test_prometheus_evaluates_every_alert(world):
    world.server.wait_for('count(ALERTS{alertname="BursarCredentialExpiresInAMonth"})')
    rules = [rule for group in world.server.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in ALERTS}
    assert all(rule["health"] == "ok" and not rule.get("lastError") for rule in rules), rules


def test_the_troubled_are_told_apart(world):
    def who(name):
        return {one["metric"]["identity"] for one in world.server.now(rule_of(world.groups, name))}

    assert who("BursarCredentialExpiresInADay") == who("BursarAssertionExpires") == {"payroll"}
    assert who("BursarCredentialRejected") == {"reports"}
    assert who("BursarRefreshFailing") == {"stale"}
    assert who("BursarExchangesFailing") == {"down", "stale"}


def test_there_is_every_series_and_label_that_is_asked_for(world):
    with DIRECT.open(f"http://127.0.0.1:{world.ports.admin}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    there = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", "\n".join(lines), re.MULTILINE):
        there.setdefault(name, set(LABELS)).update(re.findall(r'(\w+)="', labels))
    for query in [*(target["expr"] for _, target in PANELS), *(rule["expr"] for rule in ALERTS)]:
        for name, selector in re.findall(r"\b((?:bursar|process)_\w+)(?:\{([^}]*)\})?", query):
            assert name in there, f"{name} in {query}"
            asked = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selector))
            assert asked <= there[name], f"{name} has no {asked - there[name]}"


def grouped(query):
    """The labels of the results, by what the outermost aggregation keeps."""
    first = re.search(r"\bby \(([^)]*)\)", query)
    return {name for name in re.split(r",\s*", first[1]) if name != "le"} if first else set()


def assert_data(series, query):
    """Some value that is a number; what was never asked for in the meantime is NaN."""
    values = [float(value) for one in series for _, value in one.get("values", [one.get("value")])]
    assert any(math.isfinite(value) for value in values), f"no data: {query}: {series}"
