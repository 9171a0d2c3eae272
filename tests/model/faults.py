"""What happens to the whole: tending, operators, and every fault of the design's list."""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from redis.exceptions import OutOfMemoryError, ResponseError

from common.keys import HANDED_BACK
from common.transitions.dead_letters import replay
from common.transitions.publishing import Verdict
from common.transitions.tending import forget, tend
from common.utterance import Utterance
from tests.model.actors import Actor, ReplyLost
from tests.model.simulation import GROUPS, SESSIONS, SHARD, Told, World
from tests.model.workers import MAX_AUDIO, paired

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Dump:
    """All keys with their time to live (ms, 0: none), and what was acknowledged by then."""

    keys: Mapping[bytes, tuple[bytes, int]]
    acknowledged: frozenset[str]


class Operator(Actor):
    """Replays dead letters, one after the other, as long as there are any."""

    def __init__(self, world: World) -> None:
        super().__init__("operator")
        self.world = world

    async def live(self) -> None:
        while not self.stopping:
            try:
                await self.replay_one()
            except ReplyLost:
                continue

    async def replay_one(self) -> None:
        world = self.world

        async def look() -> list[tuple[bytes, list[bytes]]]:
            letters: list[tuple[bytes, list[bytes]]] = world.do("XRANGE", SHARD.dead, "-", "+")
            return letters

        if not (letters := await world.call(look)):
            return
        entry, flat = world.rng.choice(letters)
        letter = paired(flat)
        session, old = letter[b"session"].decode(), letter[b"id"].decode()
        text = letter.get(b"text", letter.get(b"audio", b"")).decode()
        new = world.fresh("r")
        root = world.truth.told[old].root
        answer = letter.get(b"answer", b"1") != b"0"
        world.truth.told[new] = Told(session, root, answer, old=False, replayed=True)
        world.truth.told[new].committed.add(text)

        async def what() -> None:
            published = await replay(
                world.store, SHARD, entry.decode(), session=session, utterance=new
            )
            verdict = "gone" if published is None else published.verdict.value
            world.answered("replay", verdict, f"{old} as {new}")
            there = bool(world.do("XRANGE", SHARD.dead, entry, entry))
            accepted = published is not None and published.verdict is Verdict.ACCEPTED
            world.check(
                published is None or there != accepted,
                f"{published} and the dead letter is there: {there}",
            )
            if accepted:
                world.truth.acknowledged.add(new)

        with suppress(OutOfMemoryError):
            await world.call(what)


def run_now(what: Callable[[], Awaitable[Answer]]) -> Answer:
    """Run a transition to its end; it never waits with a direct client."""
    try:
        next(what().__await__())
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    raise AssertionError("a transition waited for something")


def tend_patiently(world: World) -> None:
    session = world.rng.choice(SESSIONS)
    held = head_is_held(world, session)
    mended = run_now(partial(tend, world.store, session))
    world.answered("tend", " ".join(mended), session)
    world.check(not (held and mended[:1] == ["lost"]), "tend gave up what a worker has in hand")


def head_is_held(world: World, session: str) -> bool:
    """Whether a worker holds the audio of the next turn."""
    done = int(world.do("HGET", SHARD.session(session), "done") or 0)
    record = json.loads(world.do("HGET", SHARD.inbox(session), done + 1) or "{}")
    if not (entry := record.get("entry")):
        return False
    stream = SHARD.recordings if record["stream"] == "recordings" else SHARD.utterances
    return any(consumer != HANDED_BACK for _, consumer in world.pending(stream, entry))


def tend_hastily(world: World) -> None:
    """As if every timeout had passed."""
    session = world.rng.choice(SESSIONS)
    mended = run_now(partial(tend, world.hasty, session))
    world.answered("tend", " ".join(mended), f"{session} as if the timeouts had passed")


def forget_session(world: World) -> None:
    session = world.rng.choice(SESSIONS)
    world.truth.forgotten.add(session)
    count = run_now(partial(forget, world.store, session))
    world.answered("forget", "some" if count else "none", session)
    world.tick()


def echo(world: World) -> None:
    """A producer's command that sat in a socket runs (once more), long after."""
    if world.echoes:
        name, what = world.rng.choice(list(world.echoes.items())[-RECENT:])
        world.note(f"echo of {name}")
        with suppress(*([OutOfMemoryError] if name.startswith("publish") else [])):
            run_now(what)


def arrive_late(world: World) -> None:
    """A command whose caller has given it up reaches the server."""
    if world.late:
        what = world.late.pop(world.rng.randrange(len(world.late)))
        world.note("late:")
        try:
            run_now(what)
        except OutOfMemoryError:
            return
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise


def lose_group(world: World) -> None:
    stream, group = world.rng.choice(list(GROUPS.items()))
    if not world.full and world.do("EXISTS", stream):
        world.note(f"lost group {group} of {stream}")
        world.do("XGROUP", "DESTROY", stream, group)


def flush(world: World) -> None:
    world.note("FLUSHALL")
    world.do("FLUSHALL")
    world.truth.acknowledged.clear()
    world.truth.went_back = True
    world.tick()


def vanish(world: World) -> None:
    """An entry is deleted behind our backs."""
    waiting = {stream: world.do("XRANGE", stream, "-", "+") for stream in GROUPS}
    if not (streams := [stream for stream, entries in waiting.items() if entries]):
        return
    stream = world.rng.choice(streams)
    entry, flat = world.rng.choice(waiting[stream])
    fields = paired(flat)
    if stream != SHARD.turns:
        world.truth.vanished.add(fields[b"id"].decode())
    world.note(f"vanished {stream} {entry.decode()}")
    world.do("XDEL", stream, entry)


def expire(world: World) -> None:
    """What has a time to live and belongs to a session reaches its end."""
    session = world.rng.choice(SESSIONS)
    for key in (SHARD.session(session), SHARD.inbox(session), SHARD.history(session)):
        if world.do("PTTL", key) > 0:
            world.note(f"expired {key}")
            world.do("DEL", key)
    world.tick()


def fill_memory(world: World) -> None:
    """The server refuses what needs memory, until the next time; work in hand must still end."""
    world.full = not world.full
    world.note(f"memory full: {world.full}")
    world.do("CONFIG", "SET", "maxmemory", 1 if world.full else 0)


def relieve(world: World) -> None:
    if world.full:
        fill_memory(world)


def copy_entry(world: World) -> None:
    """A foreign client adds an entry like one that waits, with other words in it."""
    if world.full or not (entries := world.do("XRANGE", SHARD.utterances, "-", "+")):
        return
    flat = world.rng.choice(entries)[1]
    utterance = Utterance.from_fields(paired(flat), max_audio=MAX_AUDIO)
    foreign = utterance.model_copy(update={"audio": b"foreign"})
    fields = [*foreign.to_fields(), "turn", utterance.turn]
    world.note(f"foreign copy of {utterance.id}")
    world.do("XADD", SHARD.utterances, "*", *fields, "foreign", 1)


def foreign_wake(world: World) -> None:
    """A foreign client wakes an LLM worker."""
    if world.full:
        return
    session = world.rng.choice(SESSIONS)
    world.note(f"foreign wake-up for {session}")
    world.do("XADD", SHARD.turns, "*", "session", session, "foreign", 1)


def dump(world: World) -> Dump:
    keys = world.do("KEYS", "*")
    return Dump(
        {key: (world.do("DUMP", key), max(world.do("PTTL", key), 0)) for key in keys},
        frozenset(world.truth.acknowledged),
    )


def roll_back(world: World, to: Dump) -> None:
    """The server comes back with an earlier state of the whole shard."""
    world.note("rolled back")
    relieve(world)
    world.do("FLUSHALL")
    for key, (value, ttl_ms) in to.keys.items():
        world.do("RESTORE", key, ttl_ms, value)
    world.late.clear()  # the connections are gone
    world.truth.acknowledged = set(to.acknowledged)
    world.truth.went_back = True
    world.tick()


RECENT: Final = 6

# How often each is chosen, relative to the others, in a run in which it may happen at all.
FAULTS: Final[Mapping[Callable[[World], None], int]] = {
    tend_patiently: 4,
    tend_hastily: 4,
    forget_session: 1,
    echo: 2,
    lose_group: 2,
    flush: 1,
    vanish: 2,
    expire: 3,
    copy_entry: 2,
    foreign_wake: 2,
    fill_memory: 2,
}
# What leaves little behind to go wrong, so that most runs do without.
RESETS: Final = frozenset({flush})
