"""docker-compose.yml follows the Compose specification, scales and is configured by settings that
exist, and its services and images are made of what the repository has.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from common.settings import PREFIX, Settings
from tests.compose_file import FILE, ROOT, compose_file, environment, services, variables

ROLES: Final = ("stt", "llm", "dashboard", "listen")
CHANGED: Final = {
    "STT_REPLICAS": "5",
    "LLM_REPLICAS": "3",
    "EARSHOT_REDIS__URL": "rediss://elsewhere:6380/1",
    "EARSHOT_REDIS__PASSWORD": "secret",
    "EARSHOT_SHARDS": "4",
    "EARSHOT_LOG__LEVEL": "debug",
    "EARSHOT_STT__MODEL": "large-v3",
    "EARSHOT_STT__DEVICE": "cuda",
    "EARSHOT_STT__COMPUTE_TYPE": "float16",
    "EARSHOT_LLM__BASE_URL": "https://elsewhere/v1",
    "EARSHOT_LLM__MODEL": "mistral",
    "EARSHOT_LLM__API_KEY": "key",
    "EARSHOT_DASHBOARD__TOKEN": "token",
    "EARSHOT_DASHBOARD__ORIGINS": "https://wall.example",
    "EARSHOT_LISTEN__SESSION": "kitchen",
    "EARSHOT_LISTEN__DEVICE": "usb",
    "EARSHOT_LISTEN__PRESET": "dictation",
    "VLLM_MODEL": "some/model",
    "VLLM_FLAGS": "--quantization gptq_marlin --max-model-len 4096",
    "VLLM_GPUS": "all",
    "STOP_GRACE_PERIOD": "90s",
}
ENVIRONMENTS: Final = [pytest.param({}, id="bare"), pytest.param(CHANGED, id="changed")]


def _settings() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        path = PREFIX + name.upper()
        names |= {f"{path}__{leaf.upper()}" for leaf in inner} if inner else {path}
    return names


def _earshot(arguments: list[str], env: Mapping[str, str], cwd: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    answer = subprocess.run(
        [sys.executable, "-m", "ops.cli", *arguments],
        env=clean | {"PYTHONPATH": str(ROOT)} | dict(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_it_follows_the_compose_specification(env: dict[str, str], tmp_path: Path) -> None:
    """By the specification's own schema, which the package check-jsonschema carries."""
    interpolated = tmp_path / "docker-compose.yml"
    interpolated.write_text(yaml.safe_dump(compose_file(env)))
    schema = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    for file in (FILE, interpolated):
        answer = subprocess.run(
            [sys.executable, *schema, str(file)], capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stdout


def test_a_file_that_does_not_follow_it_is_noticed(tmp_path: Path) -> None:
    broken = compose_file({})
    broken["services"]["stt"]["replicas"] = 2
    file = tmp_path / "docker-compose.yml"
    file.write_text(yaml.safe_dump(broken))
    schema = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    answer = subprocess.run(
        [sys.executable, *schema, str(file)], capture_output=True, text=True, check=False
    )
    assert answer.returncode != 0
    assert "replicas" in answer.stdout


def test_replica_counts_scale_the_workers() -> None:
    for env, stt, llm in (({}, "2", "1"), (CHANGED, "5", "3")):
        found = services(env)
        assert found["stt"]["deploy"]["replicas"] == stt
        assert found["llm"]["deploy"]["replicas"] == llm


def test_vllm_serves_the_model_with_the_flags_on_a_gpu() -> None:
    vllm = services({})["vllm"]
    assert vllm["entrypoint"] == ["vllm", "serve"]
    model, *flags = shlex.split(vllm["command"])
    assert not model.startswith("-")
    assert flags == ["--max-num-seqs", "8", "--gpu-memory-utilization", "0.9"]
    (device,) = vllm["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "1", "capabilities": ["gpu"]}
    vllm = services(CHANGED)["vllm"]
    assert shlex.split(vllm["command"])[0] == "some/model"
    assert shlex.split(vllm["command"])[1:] == shlex.split(CHANGED["VLLM_FLAGS"])
    assert environment(vllm, CHANGED)["VLLM_API_KEY"] == CHANGED["EARSHOT_LLM__API_KEY"]


def test_every_earshot_variable_is_a_setting() -> None:
    named = set(re.findall(rf"{PREFIX}\w+", FILE.read_text()))
    named |= set(re.findall(rf"{PREFIX}\w+", (ROOT / ".env.example").read_text()))
    assert named - {PREFIX} <= _settings()


def test_the_example_shows_every_variable_of_the_file_with_its_default() -> None:
    example = dict(
        line.removeprefix("#").split("=", 1)
        for line in (ROOT / ".env.example").read_text().splitlines()
        if re.match(r"#[A-Z_]+=", line)
    )
    for name, default in variables().items():
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


def test_roles_take_every_other_setting_from_the_env_file() -> None:
    for role in ROLES:
        assert services({})[role]["env_file"] == [{"path": ".env", "required": False}]


def test_services_find_each_other() -> None:
    found = services({})
    for role in ROLES:
        assert environment(found[role], {})["EARSHOT_REDIS__URL"] == "redis://redis:6379/0"
    assert environment(found["llm"], {})["EARSHOT_LLM__BASE_URL"] == "http://vllm:8000/v1"
    assert {"redis", "vllm"} <= found.keys()


def test_workers_start_when_redis_is_healthy_and_the_microphone_waits_for_nobody() -> None:
    found = services({})
    for role in ("stt", "llm"):
        assert found[role]["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert found["redis"]["healthcheck"]["test"]
    assert "depends_on" not in found["listen"]


def test_work_in_hand_has_the_time_to_finish() -> None:
    drain_s = Settings.model_construct().worker.drain_timeout_s
    for name, service in services({}).items():
        assert float(service["stop_grace_period"].removesuffix("s")) > drain_s, name


def test_every_service_comes_back_after_a_crash_or_a_reboot() -> None:
    for name, service in services({}).items():
        assert service["restart"] == "unless-stopped", name


def test_only_the_producer_has_the_microphone_and_only_when_asked() -> None:
    found = services({})
    assert found["listen"]["profiles"] == ["mic"]
    assert found["listen"]["devices"] == ["/dev/snd:/dev/snd"]
    assert found["listen"]["group_add"] == ["audio"]
    for name in found.keys() - {"listen"}:
        assert "profiles" not in found[name]
        assert "devices" not in found[name]


def test_redis_and_the_dashboard_are_not_open_to_the_network() -> None:
    assert services({})["redis"]["ports"] == ["127.0.0.1:6379:6379"]
    assert services({})["dashboard"]["ports"] == ["127.0.0.1:8484:8484"]


def test_every_volume_is_named() -> None:
    content = compose_file({})
    mounted = {
        mount.partition(":")[0]
        for service in content["services"].values()
        for mount in service.get("volumes", [])
    }
    assert mounted == content["volumes"].keys()


@pytest.mark.parametrize("role", ROLES)
class TestImage:
    """The image of a role, read from its Dockerfile."""

    def instructions(self, role: str) -> list[tuple[str, str]]:
        build = services({})[role]["build"]
        assert build["context"] == "."
        text = (ROOT / build["dockerfile"]).read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]

    def arguments(self, role: str, instruction: str) -> list[str]:
        return [rest for name, rest in self.instructions(role) if name == instruction]

    def test_it_copies_what_exists_and_is_not_ignored(self, role: str) -> None:
        kept = (ROOT / ".dockerignore").read_text().splitlines()
        assert kept[1] == "*"
        sources = []
        for rest in self.arguments(role, "COPY"):
            if not rest.startswith("--from="):
                sources += rest.split()[:-1]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in kept, f"{source} is ignored"
            assert not any(fnmatch(source, line) for line in kept if line[:1] not in "!*#")
        packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
        assert packages <= set(sources)

    def test_it_installs_the_extra_of_its_role_under_the_constraints(self, role: str) -> None:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
            "optional-dependencies"
        ]
        (install,) = re.findall(
            r"pip install -c constraints\.txt '\.\[(\w+)\]'",
            "\n".join(self.arguments(role, "RUN")),
        )
        assert install == {"listen": "mic"}.get(role, role)
        assert install in extras

    def test_it_is_small_and_runs_as_nobody_in_particular(self, role: str) -> None:
        first, last = self.arguments(role, "FROM")
        assert first == "python:3.11-slim AS build"
        assert last == "python:3.11-slim"
        (user,) = self.arguments(role, "USER")
        assert user == "earshot"
        final = self.instructions(role)[self.instructions(role).index(("FROM", last)) :]
        assert not any("gcc" in rest or "pip" in rest for _, rest in final)

    def test_it_starts_the_role(self, role: str) -> None:
        assert self.arguments(role, "ENTRYPOINT") == ['["earshot"]']
        assert self.arguments(role, "CMD") == [f'["{role}"]']
        assert services({})[role]["command"] == [role]

    def test_the_folders_of_its_volumes_are_its_own(self, role: str) -> None:
        """A named volume takes over owner and mode of the folder that the image has there."""
        made: list[Any] = re.findall(
            r"install -d -o earshot -g earshot (\S+)", "\n".join(self.arguments(role, "RUN"))
        )
        mounts = services({})[role].get("volumes", [])
        assert made == [mount.partition(":")[2] for mount in mounts]
