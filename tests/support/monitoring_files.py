"""What stands in ops/deploy/monitoring: rules, panels, and the metrics that both name."""

import json
import re
from typing import Any, Final

import yaml

from tests.support.repository import ROOT

FOLDER: Final = ROOT / "ops" / "deploy" / "monitoring"
RULES: Final = FOLDER / "rules.yml"
RULE_TESTS: Final = FOLDER / "rules.test.yml"
DASHBOARD: Final = FOLDER / "grafana" / "dashboards" / "earshot.json"

# names that PromQL's expressions hold beside functions and labels; recording rules have colons
_METRIC: Final = re.compile(r"(?<![\w:])(?:earshot|process)_\w+(?![\w:]|\s*=)")


def rules() -> list[dict[str, Any]]:
    """Every rule, alerts and recordings."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[str]:
    return [rule["alert"] for rule in rules() if "alert" in rule]


def panels() -> list[dict[str, Any]]:
    """Every panel that asks something."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> list[str]:
    """Every expression of a rule or a panel."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return asked + [rule["expr"] for rule in rules()]


def metrics_of(expression: str) -> set[str]:
    """The names of the metrics in an expression."""
    return set(_METRIC.findall(expression))


def named_metrics() -> set[str]:
    """The metrics that rules and panels name."""
    return set().union(*map(metrics_of, expressions()))
