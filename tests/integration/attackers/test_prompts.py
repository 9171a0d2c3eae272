"""System prompts are in files of the LLM workers and in no key of Redis, and whoever may change a
session chooses among the personas that there are: a name is never a path."""

from pathlib import Path
from typing import Any, Final

import pytest
from redis.exceptions import NoPermissionError

from common.keys import Shard
from tests.support.command_line import CommandProcesses
from tests.support.secured_redis import SecuredRedis
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

SHARD: Final = Shard(0)
OWN: Final = 'prompt = "You are the persona of the house."'
OTHER: Final = 'prompt = "You are a file somewhere else."'
PATHS: Final = ("../other", "other", "/{folder}/other.toml", "../other.toml", "house/../../other")


def variables(secured: SecuredRedis, role: str) -> dict[str, str]:
    return {
        "EARSHOT_REDIS__URL": secured.url,
        "EARSHOT_REDIS__USERNAME": role,
        "EARSHOT_REDIS__PASSWORD": secured.password(role),
        "EARSHOT_REDIS__CA_FILE": str(secured.secrets / "ca.crt"),
    }


def test_a_producer_chooses_a_persona_by_name_and_never_a_file_or_a_prompt(
    secured: SecuredRedis, tmp_path: Path
) -> None:
    personas = tmp_path / "personas"
    personas.mkdir()
    (personas / "house.toml").write_text(OWN)
    (tmp_path / "other.toml").write_text(OTHER)
    processes = CommandProcesses(tmp_path, **variables(secured, "producer"))
    with StandIn() as llm, secured.client_of("producer") as thief:
        try:
            processes.start(
                "llm",
                **variables(secured, "llm"),
                EARSHOT_LLM__BASE_URL=llm.base_url,
                EARSHOT_LLM__PERSONAS=str(personas),
            )

            def prompt_of(session: str, said: str) -> str:
                thief.hset(SHARD.session(session), "epoch", 1)
                status, _, err = processes.run("say", said, "--session", session)
                assert status == 0, err

                def asked() -> list[Any]:
                    entries = [entry for entry in llm.requests() if entry.messages]
                    return [one for one in entries if one.messages[-1]["content"] == said]

                return str(until_sync(asked)[0].messages[0]["content"])

            thief.hset(SHARD.session("chosen"), "persona", "house")
            assert "persona of the house" in prompt_of("chosen", "who are you")
            for number, path in enumerate(PATHS):
                session = f"s{number}"
                thief.hset(SHARD.session(session), "persona", path.format(folder=str(tmp_path)[1:]))
                prompt = prompt_of(session, f"who are you, {number}")
                assert "somewhere else" not in prompt
                assert "of the house" not in prompt, "the default one answers"
        finally:
            processes.close()
    with secured.sync_client() as tests:
        tests.config_set("rdbcompression", "no")  # or a dump would not hold words as they are
        stored = b"".join(tests.dump(key) or b"" for key in tests.scan_iter())
        tests.config_set("rdbcompression", "yes")
    assert b"who are you, 0" in stored, "what was said is there"
    for words in (b"persona of the house", b"somewhere else"):
        assert words not in stored


@pytest.mark.parametrize("role", ["stt", "llm", "jobs", "viewer"])
def test_only_a_viewer_cannot_choose_a_persona(role: str, secured: SecuredRedis) -> None:
    with secured.client_of(role) as thief:
        if role != "viewer":
            assert thief.hset(SHARD.session("kitchen"), "persona", "house") == 1
            return
        with pytest.raises(NoPermissionError):
            thief.hset(SHARD.session("kitchen"), "persona", "house")
