"""A session of a run whose keys get damaged: the others go on, and of this one nothing is lost
without a word.

What a script cannot read is refused with a sentence, and the caretaker sets the session aside. Each
of its turns that was heard ends, or the session is in quarantine with the reason. When a person has
repaired its keys or forgotten it, it is answered again.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Final

from common.errors import Refused
from common.events import Ending, Event, Heard, Reply, TurnKey
from common.keys import SESSION_ID
from common.redis.store import Store
from common.transitions.publishing import publish
from common.transitions.tending import forget, set_aside, tend
from common.utterance import Utterance
from tests.model.actors import Violation, run_now
from tests.model.damage import Damage
from tests.model.simulation import DAMAGED, SHARD, Simulation

TYPES: Final = {
    SHARD.session(DAMAGED): b"hash",
    SHARD.inbox(DAMAGED): b"hash",
    SHARD.history(DAMAGED): b"list",
}
MOST_LOST: Final = 1_000
"""Turns in a row that `tend` ends as lost; it refuses a session with more, as nobody spoke them."""

MOST_ECHOES: Final = 6

Counters = dict[str, bytes] | None


def look_after(simulation: Simulation, store: Store, member: bytes) -> list[str]:
    """Do what the caretaker does for a member of `open`; return what `tend` did."""
    session = member.decode("utf-8", "surrogateescape")
    if not SESSION_ID.match(session):
        simulation.check(simulation.damages, f"{session!r} is in `open`")
        run_now(partial(set_aside, store, SHARD, session, ""))
        return []
    try:
        mended = run_now(partial(tend, store, session))
    except Refused as refusal:
        simulation.refused(refusal)
        simulation.answered("tend", "refused", f"{session}: {refusal}")
        is_new = run_now(partial(set_aside, store, SHARD, session, str(refusal)))
        simulation.answered("set_aside", "new" if is_new else "known", session)
        return []
    simulation.answered("tend", " ".join(mended), session)
    return mended


class DamagedSession:
    """Damages, retries and repairs the session `DAMAGED`, and checks what becomes of it."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.do = simulation.do
        self.damage = Damage(simulation.redis, simulation.damaging, self._utterance)
        self.is_silent = False  # its counters are wrong, but not so that anybody could tell

    def trouble(self) -> None:
        """Do something to it, as chance decides."""
        simulation = self.simulation
        kinds: tuple[Callable[[], None], ...] = (self.inflict, self.retry, self.repair)
        if not simulation.full:
            simulation.damaging.choices(kinds, (6, 2, 2))[0]()
            self.echo()

    def meddle(self) -> None:
        """Do something to it at the very step of a worker or producer."""
        if self.simulation.full:
            return
        self.inflict(self.damage.replace_key if self.simulation.damaging.random() < 0.5 else None)

    def inflict(self, kind: Callable[[str], str] | None = None) -> None:
        simulation, before = self.simulation, self._counters()
        if simulation.damaging.random() < 0.04 and not self._is_set_aside():
            simulation.note("the quarantine is foreign")
            self.do("SET", SHARD.quarantine, "x")
            return
        simulation.note(f"damage: {(kind or self.damage.inflict)(DAMAGED)}")
        self._note_silence(before)

    def echo(self) -> None:
        """Let a command of its producers arrive once more, right after the damage."""
        simulation = self.simulation
        own = [what for name, what in simulation.echoes.items() if self._is_about_it(name)]
        if own and simulation.damaging.random() < 0.5:
            try:
                run_now(simulation.damaging.choice(own[-MOST_ECHOES:]))
            except Refused as refusal:
                simulation.refused(refusal)

    def retry(self) -> None:
        """Try it again, as the caretaker does with what was set aside."""
        if self._is_set_aside():
            look_after(self.simulation, self.simulation.store, DAMAGED.encode())

    def repair(self) -> None:
        """Delete keys of a wrong type; without any, forget the session if it cannot be tended."""
        simulation, before = self.simulation, self._counters()
        foreign = [key for key, kind in TYPES.items() if self._holds_other_than(key, kind)]
        for key in foreign:
            self.do("DEL", key)
        simulation.note(f"repaired: {foreign}")
        self._note_silence(before)
        if foreign:
            return
        look_after(simulation, simulation.store, DAMAGED.encode())
        if self._is_set_aside():
            simulation.truth.forgotten.add(DAMAGED)
            run_now(partial(forget, simulation.store, DAMAGED))
            simulation.tick()

    def free_quarantine(self) -> None:
        if self._holds_other_than(SHARD.quarantine, b"hash"):
            self.do("DEL", SHARD.quarantine)

    def check_told(self, events: list[Event]) -> None:
        """Every turn that was heard has ended, or the session is set aside; nobody spoke others."""
        heard: set[TurnKey] = set()
        ended: dict[TurnKey, int] = defaultdict(int)
        for event in events:
            if event.session == DAMAGED and isinstance(event, Heard):
                heard.add(event.key)
            elif event.session == DAMAGED and isinstance(event, Ending):
                ended[event.key] += 1
        simulation = self.simulation
        # 0: it was forgotten when its epoch could not be read
        spoken = heard | {(session, 0, turn) for session, _, turn in heard}
        simulation.check(
            self.is_silent or ended.keys() <= spoken,
            f"turns that nobody spoke have ended: {ended.keys() - spoken}",
        )
        if self._is_set_aside():
            reason = self.do("HGET", SHARD.quarantine, DAMAGED).decode()
            simulation.check(bool(reason), "it was set aside without a reason")
        elif not self.is_silent and DAMAGED not in simulation.truth.forgotten:
            simulation.check(heard <= ended.keys(), f"lost silently: {heard - ended.keys()}")

    def heal(self, drain: Callable[[], None]) -> str:
        """Repair it until it can be tended, and say something; return the utterance."""
        simulation = self.simulation
        for _ in range(4):
            self.repair()
        look_after(simulation, simulation.hasty, DAMAGED.encode())
        if self._is_set_aside():
            raise Violation("a session that was repaired is in quarantine")
        drain()
        name = simulation.fresh("healed")
        utterance = Utterance(id=name, session=DAMAGED, text=name)
        run_now(partial(publish, simulation.store, utterance))
        drain()
        return name

    def check_healed(self, events: list[Event], utterance: str) -> None:
        """What was said after the repair was answered."""
        replies = [event for event in events if isinstance(event, Reply)]
        healed = any(event.id == utterance for event in replies)
        self.simulation.check(healed, "a session that was repaired is not answered")

    def _is_set_aside(self) -> bool:
        if self._holds_other_than(SHARD.quarantine, b"hash"):
            return False
        return bool(self.do("HEXISTS", SHARD.quarantine, DAMAGED))

    def _is_about_it(self, command: str) -> bool:
        spoken = self.simulation.truth.spoken.get(command.split()[1])
        return spoken is not None and spoken.session == DAMAGED

    def _utterance(self, session: str) -> str:
        spoken = self.simulation.truth.spoken.items()
        ids = [name for name, said in spoken if said.session == session]
        return self.simulation.damaging.choice(ids or ["none"])

    def _holds_other_than(self, key: str, kind: bytes) -> bool:
        return self.do("TYPE", key) not in (kind, b"none")

    def _counters(self) -> Counters:
        """The fields of its hash; None if something else is there."""
        if self._holds_other_than(SHARD.session(DAMAGED), b"hash"):
            return None
        flat = self.do("HGETALL", SHARD.session(DAMAGED))
        return {
            name.decode("utf-8", "replace"): value
            for name, value in zip(flat[::2], flat[1::2], strict=True)
            if name in (b"epoch", b"last", b"done")
        }

    def _note_silence(self, before: Counters) -> None:
        after = self._counters()
        if after is None or after == before:
            return
        values = [after.get(name, b"0") for name in ("epoch", "last", "done")]
        if all(value.isdigit() and len(value) < 16 for value in values):
            _, last, done = map(int, values)
            self.is_silent = self.is_silent or 0 <= last - done <= MOST_LOST
