"""The README's table is what values.yaml says, and its examples are values that the chart takes."""

import tomllib

import pytest
import readme
import yaml
from chart import CHART, ROOT, render
from test_configuration import check


def test_the_table_is_that_of_the_values():
    assert readme.parts()[1] == readme.table(), "run tests/charts/run --write"


def test_every_value_is_described():
    def leaves(values, path=""):
        for key, value in values.items():
            inner = f"{path}.{key}".lstrip(".")
            yield from leaves(value, inner) if isinstance(value, dict) and value else [inner]

    text = (CHART / "values.yaml").read_text()
    paths = [path for path, _ in readme.described(text)]
    assert len(paths) == len(set(paths))
    assert all(
        any(leaf == path or leaf.startswith(path + ".") for path in paths) for leaf in leaves(yaml.safe_load(text))
    )


@pytest.mark.parametrize("mode", ["deployment", "sidecar"])
def test_the_examples_are_taken_by_the_chart_and_by_bursar(mode, tmp_path):
    block = next(
        part.split("```")[0]
        for part in readme.README.read_text().split("```yaml\n")[1:]
        if part.startswith(f"mode: {mode}")
    )
    (tmp_path / "values.yaml").write_text(block.replace("sha256:...", "sha256:" + "a" * 64))
    objects = render(tmp_path / "values.yaml", release="bursar", namespace="platform")
    code, told = check(objects, tmp_path)
    assert code == 0, told


def test_the_chart_is_of_this_version():
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == package["version"]
