"""A secured Redis lets nobody do more than the role's work takes: a producer's credentials read no
history, no results and no deltas, a viewer's write nothing, and only an operator's look at the
server. (That they are enough is shown in test_users.py and test_compose_parity.py.)
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest
from redis import AuthenticationError, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from common.keys import SHARDS, Shard
from common.redis.failures import is_hopeless
from tests.support.secured_redis import ROLES, SecuredRedis

SHARD: Final = Shard(0)

CONTENT: Final = {
    "audio": SHARD.utterances,
    "recorded audio": SHARD.recordings,
    "wake-ups": SHARD.turns,
    "session": SHARD.session("kitchen"),
    "inbox": SHARD.inbox("kitchen"),
    "history": SHARD.history("kitchen"),
    "results": SHARD.results,
    "deltas": SHARD.deltas,
    "dead letters": SHARD.dead,
    "quarantine": SHARD.quarantine,
}
# What docs/security.md says; what is not named, a role may not read.
READS: Final[dict[str, set[str]]] = {
    "producer": {"wake-ups", "session", "inbox"},
    "stt": {"audio", "recorded audio", "wake-ups", "session", "inbox", "quarantine"},
    "llm": {"audio", "recorded audio", "wake-ups", "session", "inbox", "history", "quarantine"},
    "jobs": {"wake-ups", "session", "inbox", "results", "deltas", "dead letters", "quarantine"},
    "viewer": {"results", "deltas", "quarantine"},
    "admin": set(CONTENT),
}
# Where a command's key does not come first.
FORMS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "xread": lambda key: ["STREAMS", key, "0"],
    "xreadgroup": lambda key: ["GROUP", "g", "c", "STREAMS", key, ">"],
    **dict.fromkeys(
        ("zunion", "zinter", "zdiff", "sintercard", "zintercard", "eval_ro", "lmpop", "zmpop"),
        lambda key: ["1", key],
    ),
    **dict.fromkeys(("eval", "evalsha", "eval_ro", "evalsha_ro"), lambda key: ["x", "1", key]),
}
SERVER: Final = (
    "CONFIG SET maxmemory 1",
    "CONFIG GET *",
    "FLUSHALL",
    "FLUSHDB",
    "SHUTDOWN",
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "MONITOR",
    "DEBUG SLEEP 1",
    "CLIENT KILL TYPE normal",
    "CLIENT TRACKING on BCAST",
    "ACL SETUSER x on",
    "ACL LIST",
    "REPLICAOF a 1",
    "MIGRATE a 1 k 0 1",
    "SCRIPT FLUSH",
    "FUNCTION LIST",
    "SWAPDB 0 1",
    "SAVE",
)
# They tell that a key is there, how much is in it and whose, but nothing of what.
COUNTING: Final = frozenset(
    {"exists", "type", "hlen", "xlen", "xpending", "zcard", "xinfo|consumers"}
)

# Before Redis 7.2 and since, as in common/connection.py.
REFUSED = "user executing the script can't|ACL failure in script"


def _permits(client: Redis, user: str, command: str, *arguments: str) -> bool:
    return bool(client.acl_dryrun(user, *command.split("|"), *arguments) == b"OK")


def _alone(key: str) -> list[str]:
    return [key]


def _tries(client: Any, category: str, key: str) -> Iterator[tuple[str, list[str]]]:
    """Every command of a category, on this key if it is about keys."""
    for name in client.acl_cat(category):
        (info,) = client.execute_command("COMMAND", "INFO", name).values()
        form = FORMS.get(name, _alone)(key) if info["key_specifications"] else []
        yield name, form + [key] * (abs(info["arity"]) - len(name.split("|")) - len(form))


@pytest.mark.parametrize("role", READS)
def test_what_a_role_may_read_and_what_not(role: str, secured: SecuredRedis) -> None:
    with secured.sync_client() as client:
        for content, key in CONTENT.items():
            permitted = {
                name
                for name, arguments in _tries(client, "read", key)
                if key in arguments and _permits(client, role, name, *arguments)
            }
            assert bool(permitted - COUNTING) is (content in READS[role]), (content, permitted)


def test_a_viewer_writes_nothing(secured: SecuredRedis) -> None:
    with secured.sync_client() as client:
        keys = [*CONTENT.values(), SHARD.open, SHARD.seen("u"), SHARDS, "earshot:workers", "x"]
        for key in keys:
            for category in ("write", "scripting", "pubsub"):
                for name, arguments in _tries(client, category, key):
                    assert not _permits(client, "viewer", name, *arguments), (name, key)


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"admin"}))
def test_nobody_manages_the_server(role: str, secured: SecuredRedis) -> None:
    with secured.sync_client() as client:
        for command in SERVER:
            assert not _permits(client, role, *command.split()), command


def test_everybody_chooses_a_database_and_names_the_client_library(secured: SecuredRedis) -> None:
    with secured.sync_client() as client:
        for role in ROLES:
            assert _permits(client, role, "select", "1"), role
            for name in client.acl_cat("connection"):
                if name == "client|setinfo":  # from 7.2 on
                    assert _permits(client, role, name, "lib-name", "redis-py"), role


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"viewer"}))
def test_a_script_of_ones_own_opens_no_door(role: str, secured: SecuredRedis) -> None:
    """What a script declares as its keys is free; what it does to them is not."""
    with secured.client_of(role) as client:
        for content in set(CONTENT) - READS[role]:
            key = CONTENT[content]
            reading = (
                f"'LRANGE', '{key}', 0, -1"
                if content == "history"
                else f"'XRANGE', '{key}', '-', '+'"
            )
            with pytest.raises(ResponseError, match=REFUSED) as refusal:
                client.eval(f"return redis.call({reading})", 1, key)
            assert is_hopeless(refusal.value)


def test_without_credentials_there_is_nothing(secured: SecuredRedis) -> None:
    stranger = Redis(unix_socket_path=str(secured.socket), retry=Retry(NoBackoff(), 0))
    with stranger as client:
        for command in ("PING", "GET x", "HELLO 3", "EVAL return 1 0"):
            with pytest.raises(AuthenticationError):
                client.execute_command(*command.split())


@pytest.mark.parametrize("login", ["AUTH default {}", "AUTH {}", "HELLO 3 AUTH default {}"])
@pytest.mark.parametrize("password", ["", "x", "default"])
def test_nobody_gets_in_as_the_default_user(
    login: str, password: str, secured: SecuredRedis
) -> None:
    stranger = Redis(unix_socket_path=str(secured.socket), retry=Retry(NoBackoff(), 0))
    words = [word.format(password) for word in login.split()]
    with stranger as client:
        with pytest.raises(RedisError):
            client.execute_command(*words)
        with pytest.raises(AuthenticationError):
            client.get(SHARDS)
