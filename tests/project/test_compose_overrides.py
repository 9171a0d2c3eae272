"""With ops/deploy/compose/secure.yml Redis speaks TLS and each role has its own user and secrets;
with ops/deploy/compose/mic-host.yml a host runs the microphone alone."""

import json
import re
from pathlib import Path
from typing import Final

import pytest

from common.settings import PREFIX
from tests.project.compose_cases import CHANGED, ELSEWHERE
from tests.support.compose_file import (
    MIC_HOST,
    SECURE,
    Missing,
    compose_file,
    environment,
    services,
    started,
)
from tests.support.repository import ROOT

SECRET: Final = "/run/secrets/"


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
