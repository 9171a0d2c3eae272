"""docker-compose.yml follows the Compose specification, scales, and gives every role settings that
exist and reach it."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
import yaml

from common.settings import PREFIX, Settings
from tests.project.compose_cases import CHANGED, ELSEWHERE, OVERRIDES, ROLES
from tests.support.command_line import CommandProcesses
from tests.support.compose_file import (
    FILE,
    MIC_HOST,
    SECURE,
    compose_file,
    environment,
    services,
    variables,
)
from tests.support.repository import ROOT

SCHEMA: Final = [
    *(sys.executable, "-m", "check_jsonschema"),
    *("--builtin-schema", "vendor.compose-spec"),
]
ENVIRONMENTS: Final = [pytest.param({}, id="bare"), pytest.param(CHANGED, id="changed")]


def _settings() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        path = PREFIX + name.upper()
        names |= {f"{path}__{leaf.upper()}" for leaf in inner} if inner else {path}
    return names


def _earshot(arguments: list[str], env: Mapping[str, str], cwd: Path) -> str:
    status, shown, told = CommandProcesses(cwd, PYTHONPATH=str(ROOT), **env).run(*arguments)
    assert status == 0, told
    return shown


def test_it_follows_the_compose_specification(tmp_path: Path) -> None:
    """By the specification's own schema, which the package check-jsonschema carries."""
    files = [FILE, SECURE, MIC_HOST]
    for number, overrides in enumerate(OVERRIDES):
        for env in ({}, CHANGED):
            files.append(tmp_path / f"{number}-{len(files)}.yml")
            content = compose_file(ELSEWHERE | env, *overrides)
            files[-1].write_text(yaml.safe_dump(content))
    answer = subprocess.run(
        [*SCHEMA, *map(str, files)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout


def test_a_file_that_does_not_follow_it_is_noticed(tmp_path: Path) -> None:
    broken = compose_file({})
    broken["services"]["stt"]["replicas"] = 2
    file = tmp_path / "docker-compose.yml"
    file.write_text(yaml.safe_dump(broken))
    answer = subprocess.run([*SCHEMA, str(file)], capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert "replicas" in answer.stdout


def test_replica_counts_scale_the_workers() -> None:
    for env, stt, llm in (({}, "2", "1"), (CHANGED, "5", "3")):
        found = services(env)
        assert found["stt"]["deploy"]["replicas"] == stt
        assert found["llm"]["deploy"]["replicas"] == llm


def test_every_earshot_variable_is_a_setting() -> None:
    named = set(re.findall(rf"{PREFIX}\w+", FILE.read_text()))
    for file in (SECURE, MIC_HOST, ROOT / ".env.example"):
        named |= set(re.findall(rf"{PREFIX}\w+", file.read_text()))
    known = _settings()
    assert named - {PREFIX} <= known | {f"{setting}_FILE" for setting in known}


def test_the_example_shows_every_variable_of_the_file_with_its_default() -> None:
    example = dict(
        line.removeprefix("#").split("=", 1)
        for line in (ROOT / ".env.example").read_text().splitlines()
        if re.match(r"#[A-Z_]+=", line)
    )
    for name, default in variables(SECURE, MIC_HOST).items():
        assert name in example, f".env.example does not show {name}"
        if not name.startswith(PREFIX):
            assert example[name] == default


@pytest.mark.parametrize("env", ENVIRONMENTS)
@pytest.mark.parametrize("role", ROLES)
def test_each_role_runs_a_command_with_settings_that_are_in_force(
    role: str, env: dict[str, str], tmp_path: Path
) -> None:
    service = services(env)[role]
    given = environment(service, env)
    assert _earshot([*service["command"], "--help"], given, tmp_path).startswith("Usage:")
    shown = json.loads(_earshot(["config", "--json"], given, tmp_path))
    for variable, value in given.items():
        if not variable.startswith(PREFIX):
            continue
        setting = shown[variable.removeprefix(PREFIX).lower().replace("__", ".")]
        assert setting["from"] == variable
        masked = value and variable.endswith(("PASSWORD", "API_KEY", "TOKEN"))
        assert str(setting["value"]) == ("********" if masked else value)


@pytest.mark.parametrize("role", ROLES)
def test_what_the_shell_sets_reaches_the_role(role: str) -> None:
    given = environment(services(CHANGED)[role], CHANGED)
    section = f"{PREFIX}{role.upper()}__"
    expected = {
        name: value
        for name, value in CHANGED.items()
        if name.startswith((section, f"{PREFIX}REDIS", f"{PREFIX}SHARDS", f"{PREFIX}LOG"))
    }
    assert expected.items() <= given.items()


def test_roles_and_tools_take_every_other_setting_from_the_env_file() -> None:
    for name, service in services({}, SECURE).items():
        if str(service.get("image")).startswith("earshot-"):
            assert service["env_file"] == [{"path": ".env", "required": False}], name


def test_services_find_each_other() -> None:
    found = services({})
    for role in ROLES:
        assert environment(found[role], {})["EARSHOT_REDIS__URL"] == "redis://redis:6379/0"
    assert environment(found["llm"], {})["EARSHOT_LLM__BASE_URL"] == "http://vllm:8000/v1"
    assert {"redis", "vllm"} <= found.keys()
