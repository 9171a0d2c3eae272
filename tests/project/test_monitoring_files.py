"""The alert rules are valid, each is proven by a test that notices when it never fires, and is
explained; the dashboard asks for what its data source can answer."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.docs.metrics import PATH, list_rows
from tests.support.monitoring_files import (
    DASHBOARD,
    FOLDER,
    RULE_TESTS,
    RULES,
    alerts,
    expressions,
    metrics_of,
    named_metrics,
    panels,
    rules,
)
from tests.support.repository import ROOT


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    assert program, "promtool is missing: apt-get install prometheus"
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )


def test_promtool_takes_rules_and_configuration() -> None:
    for arguments in (("check", "rules", RULES), ("check", "config", FOLDER / "prometheus.yml")):
        done = promtool(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_pass_their_tests() -> None:
    done = promtool("test", "rules", RULE_TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", alerts())
@pytest.mark.parametrize("expression", ["vector(0) > 1", "vector(1)"], ids=["never", "always"])
def test_a_rule_that_never_or_always_fires_is_noticed(
    alert: str, expression: str, tmp_path: Path
) -> None:
    content: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in content["groups"]:
        for rule in group["rules"]:
            if rule.get("alert") == alert:
                rule["expr"] = expression
    (tmp_path / RULES.name).write_text(yaml.safe_dump(content))
    shutil.copy(RULE_TESTS, tmp_path)
    done = promtool("test", "rules", tmp_path / RULE_TESTS.name)
    assert done.returncode != 0
    assert alert in done.stdout + done.stderr


def test_every_alert_is_explained() -> None:
    page = PATH.read_text(encoding="utf-8")
    assert re.findall(r"^\| `(Earshot\w+)` \|", page, re.MULTILINE) == alerts()
    for rule in rules():
        if "alert" in rule:
            assert {"summary", "description"} <= rule["annotations"].keys()
            assert rule["labels"]["severity"] in {"warning", "critical"}


def test_every_expression_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    """promtool checks rules, so the panels' expressions become some."""
    recorded = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "1m")}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    done = promtool("check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_asks_the_data_source_that_is_provisioned() -> None:
    file = FOLDER / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    for panel in panels():
        assert panel["datasource"]["uid"] == source["uid"], panel["title"]
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == source["uid"]
    assert len({panel["title"] for panel in panels()}) == len(panels())


def test_the_dashboards_are_mounted_where_they_are_looked_for() -> None:
    provider = FOLDER / "grafana" / "provisioning" / "dashboards" / "earshot.yml"
    (found,) = yaml.safe_load(provider.read_text())["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    mounts = compose["services"]["grafana"]["volumes"]
    assert f"./ops/deploy/monitoring/grafana/dashboards:{found['options']['path']}:ro" in mounts
    assert DASHBOARD.parent.name == "dashboards"


def test_every_metric_of_earshot_is_on_a_panel() -> None:
    shown = {re.sub(r"_bucket$", "", name) for name in named_metrics()}
    assert {row.name for row in list_rows()} <= shown


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("max by (stream) (earshot_a_entries) > 0", {"earshot_a_entries"}),
        ('rate(earshot_b_total{x="y"}[5m])', {"earshot_b_total"}),
        ("earshot:recorded > 1", set()),
        ('process_cpu_seconds_total{job="earshot"}', {"process_cpu_seconds_total"}),
    ],
)
def test_names_are_found_in_expressions(expression: str, names: set[str]) -> None:
    assert metrics_of(expression) == names
