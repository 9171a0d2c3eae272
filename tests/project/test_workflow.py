"""Whoever hosts the code on GitHub has its CI run what developers run: `.ci/run`, on the oldest and
the newest Python, with no secrets and no right but to read."""

import os
import re
import subprocess
import sys
import tomllib
from typing import Any, Final

import pytest
import yaml

from tests.support.repository import ROOT

WORKFLOW: Final = ROOT / ".github" / "workflows" / "ci.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def job(workflow: dict[str, Any]) -> dict[str, Any]:
    (only,) = workflow["jobs"].values()
    return dict(only)


def test_it_is_a_workflow() -> None:
    check = [*(sys.executable, "-m", "check_jsonschema"), "--builtin-schema"]
    done = subprocess.run(
        [*check, "vendor.github-workflows", str(WORKFLOW)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_runs_what_a_developer_runs_and_nothing_else(job: dict[str, Any]) -> None:
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_it_runs_on_the_oldest_and_the_newest_python(job: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sought = re.search(r"\$\{PYTHON:-(.*?)\}", (ROOT / "ops" / "setup.sh").read_text())
    assert sought is not None
    versions = re.findall(r"python(3\.\d+)", sought[1])
    newest = max(versions, key=lambda version: int(version.partition(".")[2]))
    oldest = project["requires-python"].removeprefix(">=")
    assert job["strategy"]["matrix"]["python"] == [oldest, newest]


def test_it_may_only_read_and_ends_in_bounded_time(
    workflow: dict[str, Any], job: dict[str, Any]
) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in job
    assert "secrets." not in WORKFLOW.read_text(encoding="utf-8")
    assert job["timeout-minutes"] <= 90
