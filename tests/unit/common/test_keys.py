"""Keys are the public names of the design: one hash tag per shard, CRC-32 decides the shard."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadEntry
from common.keys import (
    SESSION_ID,
    Shard,
    check_session_id,
    shard_for,
    shard_number,
    worker_key,
)

session_ids = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True).filter(SESSION_ID.match)


def test_the_names_of_a_shard() -> None:
    shard = Shard(3)
    assert shard.utterances == "earshot:{3}:utterances"
    assert shard.recordings == "earshot:{3}:recordings"
    assert shard.turns == "earshot:{3}:turns"
    assert shard.results == "earshot:{3}:results"
    assert shard.deltas == "earshot:{3}:deltas"
    assert shard.dead == "earshot:{3}:dead"
    assert shard.open == "earshot:{3}:open"
    assert shard.session("s") == "earshot:{3}:session:s"
    assert shard.inbox("s") == "earshot:{3}:inbox:s"
    assert shard.history("s") == "earshot:{3}:history:s"
    assert shard.seen("u") == "earshot:{3}:seen:u"
    assert worker_key("w") == "earshot:worker:w"


def test_the_keys_that_every_script_of_a_session_gets() -> None:
    shard = Shard(0)
    assert shard.session_keys("s") == {
        "SESSION": shard.session("s"),
        "INBOX": shard.inbox("s"),
        "HISTORY": shard.history("s"),
        "OPEN": shard.open,
        "TURNS": shard.turns,
        "RESULTS": shard.results,
    }


@given(session_ids, st.integers(1, 16_384))
def test_a_session_lives_on_one_shard(session: str, shards: int) -> None:
    assert shard_number(session, shards) == zlib.crc32(session.encode()) % shards
    assert shard_for(session, shards).number < shards


@pytest.mark.parametrize(("session", "number"), [("kitchen", 4), ("s1", 4), ("a", 3)])
def test_shards_do_not_move_between_versions(session: str, number: int) -> None:
    assert shard_number(session, 6) == number


@given(session_ids)
def test_a_good_session_id_is_handed_back(session: str) -> None:
    assert check_session_id(session) == session


@given(
    st.text(st.characters(exclude_categories=["Cs"])).filter(
        lambda text: not SESSION_ID.match(text)
    )
)
def test_any_other_is_refused_with_what_it_may_be(session: str) -> None:
    with pytest.raises(BadEntry, match=r"it takes 1 to 64 characters out of A-Z a-z 0-9 \. _ -"):
        check_session_id(session)


@pytest.mark.parametrize("session", ["", "a\n", "a" * 65, "{0}", "a b", "é", "a\x00b"])
def test_traps_for_a_regular_expression(session: str) -> None:
    with pytest.raises(BadEntry):
        check_session_id(session)


def test_a_huge_session_id_is_not_repeated_in_full() -> None:
    with pytest.raises(BadEntry) as refused:
        check_session_id("{" * 1_000_000)
    assert len(str(refused.value)) < 250
