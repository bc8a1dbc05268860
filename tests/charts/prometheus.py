"""A real Prometheus that scrapes one Bursar, labelled as in a cluster, and what it answers."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import yaml
from chart import environment
from processes import free_port

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url):
        self.url = url

    def get(self, path, **parameters):
        """What it answers, which has to be a success."""
        target = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with DIRECT.open(target, timeout=10) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as refused:
            told = json.load(refused)
        assert told["status"] == "success" and not told.get("warnings"), f"{parameters}: {told}"
        return told["data"]

    def now(self, query):
        """The series that a query gives at this moment."""
        data = self.get("query", query=query)
        return [data] if data["resultType"] == "scalar" else data["result"]

    def lately(self, query, seconds=120):
        """The series that it gives in the last seconds, one point for each, as a panel asks for them."""
        ends = time.time()
        return self.get("query_range", query=query, start=ends - seconds, end=ends, step=1)["result"]

    def wait_for(self, query, seconds=30):
        """Waits until a query gives something, which is what it gives back."""
        ends = time.monotonic() + seconds
        while not (found := self.now(query)):
            assert time.monotonic() < ends, f"in vain: {query}"
            time.sleep(0.1)
        return found


@contextmanager
def prometheus(directory, target, labels, groups):
    """One that looks at `target` all the time, and at these alerts; it is ended after."""
    job = {
        "job_name": labels["job"],
        "static_configs": [{"targets": [target], "labels": {k: v for k, v in labels.items() if k != "job"}}],
    }
    often = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"}
    settings = {"global": often, "rule_files": ["alerts.yaml"], "scrape_configs": [job]}
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    (directory / "alerts.yaml").write_text(yaml.safe_dump({"groups": groups}))
    url = f"127.0.0.1:{free_port()}"
    files = {"config.file": directory / "prometheus.yaml", "storage.tsdb.path": directory / "data"}
    command = [os.environ["PROMETHEUS"], f"--web.listen-address={url}", *(f"--{k}={v}" for k, v in files.items())]
    with (directory / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, env=environment())
    try:
        await_ready(process, f"http://{url}/-/ready", directory / "prometheus.log")
        yield Prometheus(f"http://{url}")
    finally:
        process.terminate()
        process.wait(timeout=20)


def await_ready(process, url, log, seconds=30):
    ends = time.monotonic() + seconds
    while True:
        assert process.poll() is None and time.monotonic() < ends, log.read_text()
        try:
            with DIRECT.open(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
