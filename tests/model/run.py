"""One random run: a storm of actors and faults, then calm, then the invariants."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from redis.exceptions import ResponseError

from common.errors import EarshotError
from tests.model.actors import Actor, Violation
from tests.model.damaged_session import DamagedSession, look_after
from tests.model.direct_redis import DirectRedis
from tests.model.faults import (
    FAULTS,
    RESETS,
    Dump,
    Operator,
    arrive_late,
    dump,
    mend_idle_times,
    relieve,
    roll_back,
)
from tests.model.invariants import check_all, events
from tests.model.llm_workers import LlmWorker
from tests.model.producers import Producer
from tests.model.simulation import CALM, DAMAGED, GROUPS, SESSIONS, SHARD, Simulation
from tests.model.step_invariants import StepInvariants
from tests.model.stt_workers import SttWorker
from tests.model.workers import Worker

STEPS: Final = (60, 240)
# Of the calm; far more than any run needs.
MAX_ROUNDS: Final = 30
MAX_STEPS: Final = 200
# How often each gets to run its next command: a reply takes more of them than an utterance.
ROLES: Final[Mapping[type[Actor], int]] = {Producer: 3, SttWorker: 6, LlmWorker: 9, Operator: 1}
SCRIPT_FAILED: Final = "@user_script"  # stands in the error of a script that ran and failed
WORKERS: Final[tuple[type[Worker], ...]] = (SttWorker, LlmWorker)


class Run:
    """All of one seed."""

    def __init__(self, redis: DirectRedis, seed: int) -> None:
        redis.do("FLUSHALL")
        redis.do("CONFIG", "SET", "maxmemory", 0)
        self.simulation = Simulation(redis, seed)
        self.step_invariants = StepInvariants(self.simulation)
        rng = self.simulation.rng
        # every run leaves some kinds of fault out, so that none always hides behind another
        chosen = [fault for fault in FAULTS if rng.random() < (0.2 if fault in RESETS else 0.5)]
        self.faults = {fault: FAULTS[fault] for fault in chosen} or dict(FAULTS)
        self.goes_back = rng.random() < 0.35
        self.dumps: list[Dump] = []
        self.damaged = DamagedSession(self.simulation)
        self.simulation.damage = self.damaged.meddle
        self.actors: list[Actor] = [
            Producer(self.simulation, rng.choice(SESSIONS), rng.randint(1, 4))
            for _ in range(rng.randint(1, 3))
        ]
        if self.simulation.damages:
            self.actors += [Producer(self.simulation, DAMAGED, rng.randint(2, 5)) for _ in range(2)]
        if rng.random() < (0.9 if self.simulation.damages else 0.5):
            self.actors.append(Operator(self.simulation))
        for kind in WORKERS:
            for _ in range(rng.randint(1, 3)):
                self.hire(kind)

    def hire(self, kind: type[Worker]) -> None:
        """A new worker process with one or two tasks, which share its consumer name."""
        consumer = self.simulation.fresh(kind.__name__)
        for _ in range(self.simulation.rng.randint(1, 2)):
            self.actors.append(kind(self.simulation, consumer))

    def storm(self) -> None:
        rng = self.simulation.rng
        for _ in range(rng.randint(*STEPS)):
            chance = rng.random()
            if self.simulation.upkeep.random() < 0.02:
                mend_idle_times(self.simulation)
            if self.simulation.damages and self.simulation.damaging.random() < 0.06:
                self.damaged.trouble()
            if self.simulation.late and rng.random() < 0.1:
                arrive_late(self.simulation)
            elif chance < 0.88:
                self.step(self.choose())
            elif chance < 0.91:
                self.kill(rng.choice(self.actors))
            elif chance < 0.96 or not self.goes_back:
                self.fault()
            elif len(self.dumps) < 4 and rng.random() < 0.7:
                self.dumps.append(dump(self.simulation))
            elif self.dumps:
                roll_back(self.simulation, rng.choice(self.dumps))
            self.step_invariants.look()

    def choose(self) -> Actor:
        """An actor of a role, but rarely one that had nothing to do when it looked last."""
        rng = self.simulation.rng
        role = rng.choices(list(ROLES), list(ROLES.values()))[0]
        actors = [actor for actor in self.actors if isinstance(actor, role)] or self.actors
        busy = [a for a in actors if not (isinstance(a, Worker) and a.idle)]
        return rng.choice(busy if busy and rng.random() < 0.5 else actors)

    def step(self, actor: Actor) -> None:
        if actor.finished:
            self.replace(actor)
        else:
            actor.step()

    def fault(self) -> None:
        kinds: list[Callable[[Simulation], None]] = list(self.faults)
        weights = list(self.faults.values())
        self.simulation.rng.choices(kinds, weights)[0](self.simulation)

    def kill(self, actor: Actor) -> None:
        if isinstance(actor, Operator):
            return
        if isinstance(actor, Worker) and self.simulation.likely(0.5):
            actor.stopping = True  # SIGTERM: it finishes what it has in hand, and leaves
            return
        self.simulation.note(f"killed {actor.name}")
        actor.die()
        if isinstance(actor, Producer) and self.simulation.likely(0.3):
            actor.lose_disk()
        elif isinstance(actor, Producer):
            actor.lose_memory()
        self.replace(actor)

    def replace(self, actor: Actor) -> None:
        """Whoever died is started again; a producer with what its outbox kept."""
        self.actors.remove(actor)
        rng = self.simulation.rng
        if isinstance(actor, Producer):
            moves = not actor.outbox and actor.session != DAMAGED
            session = rng.choice(SESSIONS) if moves else actor.session
            more = rng.randint(0, 2)
            self.actors.append(
                Producer(self.simulation, session, more, list(actor.outbox), actor.noted)
            )
        elif isinstance(actor, Worker):
            self.actors.append(type(actor)(self.simulation, self.simulation.fresh("worker")))

    def calm(self) -> None:
        """No more faults: some actors die, some finish, some wake up when all is over."""
        simulation, rng = self.simulation, self.simulation.rng
        simulation.chances = CALM
        relieve(simulation)
        self.damaged.free_quarantine()
        sleepers: list[Actor] = []
        living: list[Actor] = []
        for actor in self.actors:
            actor.stopping = True
            if isinstance(actor, Producer):
                living.append(actor)
            elif rng.random() < 0.3:
                actor.die()
            else:
                (living if rng.random() < 0.5 else sleepers).append(actor)
        simulation.note("calm")
        self.drain(living)
        self.drain(sleepers)

    def drain(self, living: list[Actor]) -> None:
        simulation = self.simulation
        fresh = [kind(simulation, simulation.fresh("last")) for kind in WORKERS]
        for round_ in range(MAX_ROUNDS):
            for actor in living:
                for _ in range(8):
                    if not actor.finished:
                        actor.step()
            simulation.note(f"round {round_}")
            for member in simulation.do("ZRANGE", SHARD.open, 0, -1):
                look_after(simulation, simulation.hasty, member)
            for worker in fresh:
                self.work_off(worker)
            self.step_invariants.look()
            if all(actor.finished for actor in living) and self.at_rest():
                break
        else:
            raise Violation(f"stuck: {[actor.name for actor in living if not actor.finished]}")
        for worker in fresh:
            worker.die()

    def check(self) -> None:
        """The promises, of the damaged session as far as they hold for it."""
        if self.simulation.damages:
            self.damaged.check_told(events(self.simulation, SHARD.results))
            utterance = self.damaged.heal(lambda: self.drain([]))
            self.damaged.check_healed(events(self.simulation, SHARD.results), utterance)
        check_all(self.simulation)

    def work_off(self, worker: Worker) -> None:
        """All that one worker finds to do."""
        worker.idle = False
        for _ in range(MAX_STEPS):
            worker.step()
            if worker.idle:
                return

    def at_rest(self) -> bool:
        simulation = self.simulation
        return not simulation.do("EXISTS", SHARD.open) and not any(
            simulation.do("XLEN", stream) or simulation.pending(stream) for stream in GROUPS
        )


def run_seed(redis: DirectRedis, seed: int) -> Counter[tuple[str, str]]:
    """Raises Violation, with the seed and the journal of the run, if a promise was broken.

    So is what a script answers or publishes if nobody can parse it.

    Returns how often each (script, answer) came.
    """
    run = Run(redis, seed)
    try:
        run.storm()
        run.calm()
        run.check()
    except (Violation, ResponseError, EarshotError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, ResponseError) and SCRIPT_FAILED not in str(error):
            raise
        journal = "\n".join(run.simulation.journal)
        raise Violation(f"seed {seed}: {error}\n{journal}") from error
    finally:
        for actor in run.actors:
            actor.die()
    return run.simulation.answers
