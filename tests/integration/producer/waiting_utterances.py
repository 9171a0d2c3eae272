"""Utterances in an outbox, and those of them that Redis has heard."""

from typing import Any

from common.events import Heard, parse_event
from common.keys import Shard
from common.utterance import Utterance
from producer.shipping.outbox import Outbox
from tests.support.redis_server import RedisServer

SHARD = Shard(0)


def make_utterance(name: str, **more: Any) -> Utterance:
    pcm = {"audio": b"x" * 2_000, "samples": 1_000, "codec": "pcm_s16le"}
    return Utterance(id=name, session="s1", **(pcm | more))


def fill_outbox(outbox: Outbox, *names: str) -> None:
    for name in names:
        outbox.add(make_utterance(name), age_s=0)


def heard_events(server: RedisServer) -> list[Heard]:
    with server.sync_client() as client:
        events = [parse_event(fields) for _, fields in client.xrange(SHARD.results)]
    return [event for event in events if isinstance(event, Heard)]


def heard_ids(server: RedisServer) -> list[str]:
    """The utterances that Redis has heard, in the order of their turns."""
    heard = heard_events(server)
    assert [event.turn for event in heard] == list(range(1, len(heard) + 1))
    return [event.id for event in heard]
