"""What the password of a role does not get, tried on a secured Redis with that role's own user: the
server itself, its files, keys of others, and what others said in other places."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from common.keys import Shard
from tests.support.secured_redis import ROLES, SecuredRedis

SHARD: Final = Shard(0)
REFUSED: Final = (NoPermissionError, ResponseError)

MANAGING: Final = (
    "ACL SETUSER thief on nopass ~* &* +@all",
    "ACL DELUSER viewer",
    "ACL SAVE",
    "BGREWRITEAOF",
    "BGSAVE",
    "CLIENT KILL TYPE normal",
    "CLIENT PAUSE 10000",
    "CLIENT TRACKING on BCAST",
    "CLUSTER RESET",
    "CONFIG REWRITE",
    "CONFIG SET dir /tmp",
    "CONFIG SET dbfilename thief.so",
    "CONFIG SET maxmemory 1",
    "CONFIG SET requirepass thief",
    "DEBUG SLEEP 0",
    "FAILOVER",
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "LATENCY RESET",
    "MIGRATE 127.0.0.1 1 other 0 1",
    "MODULE LOAD /tmp/thief.so",
    "MONITOR",
    "PSYNC ? -1",
    "REPLICAOF 127.0.0.1 1",
    "RESTORE other 0 x",
    "SAVE",
    "SHUTDOWN NOSAVE",
    "SLAVEOF 127.0.0.1 1",
    "SLOWLOG RESET",
    "SWAPDB 0 1",
    "SYNC",
)
"""They change the server, or show everything in it."""

LOOKING: Final = ("ACL LIST", "CONFIG GET *", "CLIENT LIST", "SLOWLOG GET", "ACL LOG")
"""They show settings and what others do."""

MAY_LIST_CLIENTS: Final = "jobs"
"""RQ looks for the connections of its workers."""

OTHERS: Final[Mapping[str, tuple[str, ...]]] = {
    "results": ("XRANGE", SHARD.results, "-", "+"),
    "deltas": ("XRANGE", SHARD.deltas, "-", "+"),
    "audio that waits": ("XRANGE", SHARD.utterances, "-", "+"),
    "recordings that wait": ("XRANGE", SHARD.recordings, "-", "+"),
    "history": ("LRANGE", SHARD.history("kitchen"), "0", "-1"),
    "dead letters": ("XRANGE", SHARD.dead, "-", "+"),
    "a turn that waits": ("HGET", SHARD.inbox("kitchen"), "1"),
}
READS: Final[Mapping[str, set[str]]] = {
    "producer": {"a turn that waits"},
    "stt": {"a turn that waits", "audio that waits", "recordings that wait"},
    "llm": {"a turn that waits", "audio that waits", "recordings that wait", "history"},
    "jobs": {"a turn that waits", "results", "deltas", "dead letters"},
    "viewer": {"results", "deltas"},
    "admin": set(OTHERS),
}

ESCAPES: Final = (
    "return io.open('/etc/passwd'):read()",
    "return os.execute('id')",
    "return os.getenv('HOME')",
    "return dofile('/etc/passwd')",
    "return loadfile('/etc/passwd')",
    "return require('io')",
    "return package.loadlib('x', 'y')",
    "return debug.getregistry()",
)


@pytest.fixture
def spoken(secured: SecuredRedis) -> SecuredRedis:
    """A Redis in which somebody has spoken, and another program keeps a key."""
    with secured.sync_client() as tests:
        for stream in (SHARD.results, SHARD.deltas, SHARD.utterances, SHARD.recordings, SHARD.dead):
            tests.xadd(stream, {"text": "private"})
        tests.rpush(SHARD.history("kitchen"), "private")
        tests.hset(SHARD.inbox("kitchen"), "1", "private")
        tests.set("other", "not earshot's")
    return secured


def everything(server: SecuredRedis) -> dict[bytes, Any]:
    with server.sync_client() as tests:
        return {key: tests.dump(key) for key in tests.scan_iter()}


@pytest.mark.parametrize("role", ROLES)
def test_nobody_changes_the_server_or_deletes_everything(role: str, spoken: SecuredRedis) -> None:
    before = everything(spoken)
    with spoken.sync_client() as tests, spoken.client_of(role) as thief:
        settings = tests.config_get("*")
        users = tests.acl_list()
        for command in MANAGING:
            with pytest.raises(REFUSED, match=r"(?i)permission|command not allowed"):
                pytest.fail(f"{command}: {thief.execute_command(*command.split())!r}")
        assert tests.config_get("*") == settings
        assert tests.acl_list() == users
    assert everything(spoken) == before


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"admin"}))
def test_only_an_operator_looks_at_settings_users_and_what_others_do(
    role: str, spoken: SecuredRedis
) -> None:
    with spoken.client_of(role) as thief:
        for command in LOOKING:
            if command == "CLIENT LIST" and role == MAY_LIST_CLIENTS:
                continue
            with pytest.raises(NoPermissionError):
                thief.execute_command(*command.split())


@pytest.mark.parametrize("role", ROLES)
def test_each_reads_its_own_part_of_what_others_said_and_no_more(
    role: str, spoken: SecuredRedis
) -> None:
    with spoken.client_of(role) as thief:
        for what, command in OTHERS.items():
            if what in READS[role]:
                assert b"private" in str(thief.execute_command(*command)).encode(), what
                continue
            with pytest.raises(NoPermissionError):
                thief.execute_command(*command)
            if role == "viewer":
                continue
            words = ", ".join(f"'{word}'" for word in command)
            for keys in ((), (command[1],)):
                with pytest.raises(ResponseError, match=r"can't access|can't run|ACL failure"):
                    thief.eval(f"return redis.call({words})", len(keys), *keys)


@pytest.mark.parametrize("role", ["producer", "stt", "jobs", "viewer"])
def test_nobody_but_llm_workers_puts_words_into_the_mouth_of_the_assistant(
    role: str, spoken: SecuredRedis
) -> None:
    history = SHARD.history("kitchen")
    with spoken.sync_client() as tests, spoken.client_of(role) as thief:
        for command in (
            ("RPUSH", history, "never said"),
            ("LPUSH", history, "never said"),
            ("LSET", history, 0, "never said"),
            ("SET", history, "never said"),
            ("RENAME", SHARD.history("other"), history),
            ("COPY", SHARD.inbox("kitchen"), history, "REPLACE"),
        ):
            with pytest.raises(NoPermissionError):
                thief.execute_command(*command)
        assert tests.lrange(history, 0, -1) == [b"private"]


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"viewer"}))
def test_a_script_reads_no_file_and_starts_no_program(role: str, spoken: SecuredRedis) -> None:
    with spoken.client_of(role) as thief:
        for script in ESCAPES:
            with pytest.raises(ResponseError, match=r"(?i)script|nil|nonexist|global"):
                thief.eval(script, 0)


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"jobs", "admin"}))
def test_nobody_listens_to_the_channels_of_redis(role: str, spoken: SecuredRedis) -> None:
    with spoken.client_of(role) as thief:
        for command in (
            ("SUBSCRIBE", "__keyspace@0__:other"),
            ("PSUBSCRIBE", "*"),
            ("SSUBSCRIBE", "x"),
            ("PUBLISH", "rq:pubsub:x", "{}"),
        ):
            with pytest.raises(REFUSED):
                thief.execute_command(*command)


@pytest.mark.parametrize("role", ROLES)
def test_a_password_of_one_role_opens_no_other(role: str, spoken: SecuredRedis) -> None:
    with spoken.client_of(role) as thief:
        for other in (*sorted(set(ROLES) - {role}), "default", "tests"):
            with pytest.raises(RedisError, match=r"WRONGPASS|invalid username-password"):
                thief.execute_command("AUTH", other, spoken.password(role))


def test_the_files_of_passwords_are_each_given_to_their_role_only(secrets: Path) -> None:
    """Whoever reads one of them has read no other, and the ACL file holds none of them."""
    words = {role: (secrets / f"redis_{role}").read_text().strip() for role in ROLES}
    assert len(set(words.values())) == len(ROLES)
    assert all(len(word) >= 32 for word in words.values())
    rules = (secrets / "users.acl").read_text()
    assert not [role for role, word in words.items() if word in rules]
