"""A secured Redis lets each role do its own work, whole, and nothing else: a producer's credentials
read no history, no results and no deltas, a viewer's write nothing.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import soundfile
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from common.connection import connect
from common.keys import LLM_GROUP, STT_GROUP, Shard
from common.link import Link
from common.settings import LimitSettings
from common.store import Store
from common.transitions.publishing import Verdict, keep_open, publish
from common.utterance import Utterance
from ops.demo.recording_file import AUDIO, sentences
from tests.integration.pipeline import endings, pipeline, wait_until
from tests.integration.secured_redis import ROLES, SecuredRedis, make_secrets
from tests.model.role_users import OWNERS, RoleUsers
from tests.model.run import run_seed
from workers.caretaker import Caretaker
from workers.reader import Reader

SHARD: Final = Shard(0)
SEEDS: Final = range(25)

CONTENT: Final = {
    "history": SHARD.history("kitchen"),
    "results": SHARD.results,
    "deltas": SHARD.deltas,
    "dead": SHARD.dead,
    "audio": SHARD.utterances,
    "recorded audio": SHARD.recordings,
    "inbox": SHARD.inbox("kitchen"),
    "session": SHARD.session("kitchen"),
    "wake-ups": SHARD.turns,
}
# What each role may read of it, as SECURITY says; what it may not is all the rest.
READS: Final[dict[str, set[str]]] = {
    "producer": {"inbox", "session", "wake-ups"},
    "stt": {"audio", "recorded audio", "inbox", "session", "wake-ups"},
    "llm": {"audio", "recorded audio", "inbox", "session", "wake-ups", "history"},
    "jobs": {"results", "deltas", "inbox", "session", "wake-ups"},
    "viewer": {"results", "deltas"},
    "admin": set(CONTENT),
}
# They tell that a key is there, or how much is in it, and nothing of what.
COUNTING: Final = frozenset({"exists", "type", "xlen", "xpending", "zcard", "xinfo|consumers"})


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def server(secrets: Path) -> Iterator[SecuredRedis]:
    with SecuredRedis(secrets) as server:
        yield server


@pytest.fixture
def empty(server: SecuredRedis) -> SecuredRedis:
    with server.sync_client() as client:
        client.flushall()
        client.acl_log_reset()
    return server


# -- what each may


def test_the_whole_way_from_speech_to_reply(empty: SecuredRedis, tmp_path: Path) -> None:
    """Processes with their own credentials, over TLS; ACL LOG would tell of every refusal."""
    spoken = tmp_path / "two.wav"
    samples, rate = soundfile.read(AUDIO)
    soundfile.write(spoken, samples[: round(rate * (sentences()[1].end_s + 1.2))], rate)
    with pipeline(tmp_path, redis=empty) as parts:
        parts.stand_in.control(fail={"status": 503, "count": 1})
        for command in (
            ("listen", "--input", str(spoken), "--session", "kitchen", "--eager", "on"),
            ("say", "What time is it?", "--session", "kitchen"),
        ):
            done = parts.run(*command)
            assert done.returncode == 0, done.stderr.decode()
        ends = endings(parts.wait_for_endings("kitchen", 3))
        assert len(ends) == 3
        assert {end["type"] for end in ends} <= {"reply", "skipped"}

        with empty.client_of("producer") as client:
            client.xadd(SHARD.utterances, {"v": "1", "session": "kitchen"})
        wait_until(lambda: _status(parts.run("status", "--json").stdout), _has_a_dead_letter)
        letters = parts.run("dead", "list", "--json").stdout.splitlines()
        letter = json.loads(letters[0])["letter"]
        assert parts.run("dead", "show", letter).returncode == 0
        assert parts.run("dead", "drop", letter).returncode == 0
    assert empty.refusals() == []


def _status(out: bytes) -> dict[str, Any]:
    census: dict[str, Any] = json.loads(out)
    return census


def _has_a_dead_letter(census: dict[str, Any]) -> bool:
    return census["dead_letters"] == 1 and {w["role"] for w in census["workers"]} == {"stt", "llm"}


def test_every_script_in_every_turn_that_it_takes(server: SecuredRedis) -> None:
    """The model test's runs, with each script under the user whose role runs it."""
    with RoleUsers(server) as redis:
        for seed in SEEDS:
            run_seed(redis, seed)
        owners = {digest: {role for ran, role in redis.ran if ran == digest} for digest in OWNERS}
    never = {digest for digest, roles in owners.items() if not roles}
    assert len(never) <= 2, "keep_open and drop are no part of the model"
    assert server.refusals() == []
