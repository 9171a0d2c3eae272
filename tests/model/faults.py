"""What happens to the whole: tending, operators, and every fault of the design's list."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from redis.exceptions import OutOfMemoryError, ResponseError

from common.errors import Refused
from common.keys import NOBODY, SESSION_ID
from common.transitions.claims import mend_idle
from common.transitions.dead_letters import replay
from common.transitions.publishing import Verdict
from common.transitions.tending import forget
from common.utterance import Utterance
from tests.model.actors import Actor, ReplyLost, run_now
from tests.model.damaged_session import look_after
from tests.model.simulation import DAMAGED, GROUPS, SESSIONS, SHARD, Simulation, Spoken
from tests.model.stt_workers import MAX_AUDIO
from tests.model.workers import paired

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Dump:
    """All keys with their time to live (ms, 0: none), and what was acknowledged by then."""

    keys: Mapping[bytes, tuple[bytes, int]]
    acknowledged: frozenset[str]


class Operator(Actor):
    """Replays dead letters, one after the other, as long as there are any."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__("operator")
        self.simulation = simulation

    async def live(self) -> None:
        while not self.stopping:
            try:
                await self.replay_one()
            except ReplyLost:
                continue
            except Refused as refusal:
                self.simulation.refused(refusal)

    async def replay_one(self) -> None:
        simulation = self.simulation

        async def look() -> list[tuple[bytes, list[bytes]]]:
            letters: list[tuple[bytes, list[bytes]]] = simulation.do("XRANGE", SHARD.dead, "-", "+")
            return letters

        if not (letters := await simulation.call(look)):
            return
        entry, flat = simulation.rng.choice(letters)
        letter = paired(flat)
        session, old, said = (
            letter.get(name, b"").decode("utf-8", "replace")
            for name in (b"session", b"id", b"text" if b"text" in letter else b"audio")
        )
        is_whole = SESSION_ID.match(session) and not letter.keys().isdisjoint((b"audio", b"text"))
        session = session if SESSION_ID.match(session) else DAMAGED
        text, new = said.strip(), simulation.fresh("r")
        known = simulation.truth.spoken.get(old)
        simulation.check(known is not None or session == DAMAGED, f"nobody spoke {old}")
        root = old if known is None else known.root
        answer = letter.get(b"answer", b"1") != b"0"
        simulation.truth.spoken[new] = Spoken(session, root, answer, old=False, replayed=True)
        simulation.truth.spoken[new].committed.add(text)

        async def what() -> None:
            published = await replay(
                simulation.store, SHARD, entry.decode(), session=session, utterance=new
            )
            verdict = "gone" if published is None else published.verdict.value
            simulation.answered("replay", verdict, f"{old} as {new}")
            there = bool(simulation.do("XRANGE", SHARD.dead, entry, entry))
            accepted = published is not None and published.verdict is Verdict.ACCEPTED
            simulation.check(
                is_whole or published is None, f"a letter that is none was replayed: {letter}"
            )
            simulation.check(
                published is None or there != accepted,
                f"{published} and the dead letter is there: {there}",
            )
            if accepted:
                simulation.truth.acknowledged.add(new)

        with suppress(OutOfMemoryError):
            await simulation.call(what)


def tend_patiently(simulation: Simulation) -> None:
    session = simulation.rng.choice(simulation.sessions)
    held = session in SESSIONS and head_is_held(simulation, session)
    mended = look_after(simulation, simulation.store, session.encode())
    simulation.check(
        not (held and mended[:1] == ["lost"]), "tend gave up what a worker has in hand"
    )


def head_is_held(simulation: Simulation, session: str) -> bool:
    """Whether a worker holds the audio of the next turn."""
    record = simulation.head(session)
    if not (entry := record.get("entry")):
        return False
    stream = SHARD.recordings if record["stream"] == "recordings" else SHARD.utterances
    return any(consumer not in NOBODY for _, consumer in simulation.pending(stream, entry))


def tend_hastily(simulation: Simulation) -> None:
    """As if every timeout had passed."""
    simulation.note("as if the timeouts had passed:")
    look_after(simulation, simulation.hasty, simulation.rng.choice(simulation.sessions).encode())


def mend_idle_times(simulation: Simulation) -> None:
    """What the caretaker does against a clock that was set back: every claim stays where it is."""
    stream = simulation.upkeep.choice(list(GROUPS))
    held = simulation.pending(stream)
    count = run_now(partial(mend_idle, simulation.store, stream, GROUPS[stream]))
    simulation.answered("mend_idle", "some" if count else "none", stream)
    # from Redis 7.0 on, claiming an entry that is gone lets go of it
    left = [row for row in held if simulation.do("XRANGE", stream, row[0], row[0])]
    kept = simulation.pending(stream)
    simulation.check(
        set(left) <= set(kept) <= set(held), f"of {held} the idle times were mended: {kept}"
    )


def forget_session(simulation: Simulation) -> None:
    session = simulation.rng.choice(simulation.sessions)
    simulation.truth.forgotten.add(session)
    try:
        count = run_now(partial(forget, simulation.store, session))
    except Refused as refusal:
        simulation.refused(refusal)
        return
    simulation.answered("forget", "some" if count else "none", session)
    simulation.tick()


def echo(simulation: Simulation) -> None:
    """A producer's command that sat in a socket runs (once more), long after."""
    if simulation.echoes:
        name, what = simulation.rng.choice(list(simulation.echoes.items())[-RECENT:])
        simulation.note(f"echo of {name}")
        try:
            run_now(what)
        except Refused as refusal:
            simulation.refused(refusal)
        except OutOfMemoryError:
            if not name.startswith("publish"):
                raise


def arrive_late(simulation: Simulation) -> None:
    """A command whose caller has given it up reaches the server."""
    if simulation.late:
        what = simulation.late.pop(simulation.rng.randrange(len(simulation.late)))
        simulation.note("late:")
        try:
            run_now(what)
        except Refused as refusal:
            simulation.refused(refusal)
        except OutOfMemoryError:
            return
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise


def lose_group(simulation: Simulation) -> None:
    stream, group = simulation.rng.choice(list(GROUPS.items()))
    if not simulation.full and simulation.do("EXISTS", stream):
        simulation.note(f"lost group {group} of {stream}")
        simulation.do("XGROUP", "DESTROY", stream, group)


def flush(simulation: Simulation) -> None:
    simulation.note("FLUSHALL")
    simulation.do("FLUSHALL")
    simulation.truth.acknowledged.clear()
    simulation.truth.went_back = True
    simulation.tick()


def vanish(simulation: Simulation) -> None:
    """An entry is deleted behind our backs."""
    waiting = {stream: simulation.do("XRANGE", stream, "-", "+") for stream in GROUPS}
    if not (streams := [stream for stream, entries in waiting.items() if entries]):
        return
    stream = simulation.rng.choice(streams)
    entry, flat = simulation.rng.choice(waiting[stream])
    fields = paired(flat)
    if stream != SHARD.turns:
        simulation.truth.vanished.add(fields.get(b"id", b"").decode("utf-8", "replace"))
    simulation.note(f"vanished {stream} {entry.decode()}")
    simulation.do("XDEL", stream, entry)


def expire(simulation: Simulation) -> None:
    """What has a time to live and belongs to a session reaches its end."""
    session = simulation.rng.choice(simulation.sessions)
    for key in (SHARD.session(session), SHARD.inbox(session), SHARD.history(session)):
        if simulation.do("PTTL", key) > 0:
            simulation.note(f"expired {key}")
            simulation.do("DEL", key)
    simulation.tick()


def fill_memory(simulation: Simulation) -> None:
    """The server refuses what needs memory, until the next time; work in hand must still end."""
    simulation.full = not simulation.full
    simulation.note(f"memory full: {simulation.full}")
    simulation.do("CONFIG", "SET", "maxmemory", 1 if simulation.full else 0)


def relieve(simulation: Simulation) -> None:
    if simulation.full:
        fill_memory(simulation)


def copy_entry(simulation: Simulation) -> None:
    """A foreign client adds an entry like one that waits, with other words in it."""
    sound = {session.encode() for session in SESSIONS}
    waiting = [paired(flat) for _, flat in simulation.do("XRANGE", SHARD.utterances, "-", "+")]
    entries = [fields for fields in waiting if fields.get(b"session") in sound]
    if simulation.full or not entries:
        return
    utterance = Utterance.from_fields(simulation.rng.choice(entries), max_audio=MAX_AUDIO)
    foreign = utterance.model_copy(update={"audio": b"foreign"})
    fields = [*foreign.to_fields(), "turn", utterance.turn]
    simulation.note(f"foreign copy of {utterance.id}")
    simulation.do("XADD", SHARD.utterances, "*", *fields, "foreign", 1)


def foreign_wake(simulation: Simulation) -> None:
    """A foreign client wakes an LLM worker."""
    if simulation.full:
        return
    session = simulation.rng.choice(simulation.sessions)
    simulation.note(f"foreign wake-up for {session}")
    simulation.do("XADD", SHARD.turns, "*", "session", session, "foreign", 1)


def dump(simulation: Simulation) -> Dump:
    keys = simulation.do("KEYS", "*")
    return Dump(
        {key: (simulation.do("DUMP", key), max(simulation.do("PTTL", key), 0)) for key in keys},
        frozenset(simulation.truth.acknowledged),
    )


def roll_back(simulation: Simulation, to: Dump) -> None:
    """The server comes back with an earlier state of the whole shard."""
    simulation.note("rolled back")
    relieve(simulation)
    simulation.do("FLUSHALL")
    for key, (value, ttl_ms) in to.keys.items():
        simulation.do("RESTORE", key, ttl_ms, value)
    simulation.late.clear()  # the connections are gone
    simulation.truth.acknowledged = set(to.acknowledged)
    simulation.truth.went_back = True
    simulation.tick()


RECENT: Final = 6

# How often each is chosen, relative to the others, in a run in which it may happen at all.
FAULTS: Final[Mapping[Callable[[Simulation], None], int]] = {
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
