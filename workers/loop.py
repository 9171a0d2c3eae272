"""The one consumer loop that STT and LLM workers share.

It reads new entries (a reader per shard, nothing read without room for it), takes over what was
handed back or abandoned, beats for what is in hand, runs the handler with bounded concurrency,
and decides by what the handler raises. On stop it drains, hands back the rest and leaves.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from common.connection import check_server, is_away, is_hopeless, is_no_group, sentence
from common.errors import BadEntry, BadInput, Lost, Permanent, RedisUnusable, Refused, Transient
from common.link import Link, jittered
from common.settings import Settings
from common.store import Store
from common.transitions.claims import Settled, leave
from workers.breaker import Breaker, State
from workers.caretaker import Caretaker
from workers.gate import Gate
from workers.hand import Hand, Held
from workers.reader import BLOCK_MS, Reader
from workers.register import Register
from workers.work import Handler, Work

Answer = TypeVar("Answer")

BEATS_PER_CLAIM: Final = 4
RECLAIM_EVERY_S: Final = 0.5
ROOM_EVERY_S: Final = 0.25
FIRST_RETRY_S: Final = 0.5
LAST_WORDS_S: Final = 5.0

log = structlog.get_logger(__name__)


class Desk:
    """What the handler sees of the loop while it works on one entry."""

    def __init__(self, link: Link, register: Register, held: Held | None = None) -> None:
        self._link = link
        self._register = register
        self._held = held

    async def lasting(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        async def while_held() -> Answer:
            if self._held is not None and self._held.lost:
                raise Lost("the claim passed to another worker")
            return await transition()

        return await self._link.lasting(while_held)

    def says(self, **state: Any) -> None:
        self._register.says(**state)


class Loop:
    """One worker process."""

    def __init__(self, store: Store, settings: Settings, handler: Handler, name: str) -> None:
        self._store = store
        self._settings = settings
        self._handler = handler
        self._name = name
        worker = settings.worker
        self._link = Link(store.redis, settings.redis, max_pause_s=worker.backoff_max_s)
        self._register = Register(store.redis, name, handler.role, ttl_s=worker.claim_idle_s * 1.5)
        self._hand = Hand(store, self._link, handler.group, name)
        self._gate = Gate()
        self._breaker = Breaker(
            handler.probe, self._server_changed, max_pause_s=worker.backoff_max_s
        )
        self._readers = [
            Reader(
                store,
                self._link,
                shard,
                handler.streams(shard),
                handler.group,
                name,
                claim_idle_s=worker.claim_idle_s,
            )
            for shard in store.all_shards()
        ]
        self._room = asyncio.Event()
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain and leave.

        Raises RedisUnusable or what `handler.start` raises, when waiting cannot help.
        """
        desk = Desk(self._link, self._register)
        await self._meet_redis(once=True)
        await self._handler.start(desk)
        if not await _unless(stop, self._meet_redis(once=False)):
            await self._handler.close()
            return
        self._register.says(state="ready")
        await self._probe()
        log.info("ready", role=self._handler.role)
        background = [
            asyncio.create_task(self._beat(), name="heartbeat"),
            asyncio.create_task(self._breaker.watch(), name="breaker"),
            asyncio.create_task(
                Caretaker(
                    self._store,
                    self._link,
                    self._name,
                    claim_idle_s=self._settings.worker.claim_idle_s,
                ).run(),
                name="caretaker",
            ),
        ]
        intake = [
            asyncio.create_task(task(reader), name=f"{task.__name__}-{reader.shard.number}")
            for reader in self._readers
            for task in (self._read, self._reclaim)
        ]
        try:
            await _first_of(stop, [*background, *intake])
            await self._drain(intake)
        finally:
            for task in [*background, *intake]:
                task.cancel()
            await asyncio.gather(*background, *intake, return_exceptions=True)
            await self._handler.close()
        log.info("left")

    async def _probe(self) -> None:
        """Say right away, not at the first turn, that the server behind the role is unusable."""
        try:
            await self._handler.probe()
        except Transient as error:
            self._breaker.failed(str(error))

    async def _meet_redis(self, *, once: bool) -> None:
        """Check the server and make the groups; `once`: do not wait for one that is away."""
        while True:
            try:
                await self._link.call(
                    check_server, self._store.redis, self._settings.redis, self._store.shards
                )
                for reader in self._readers:
                    await reader.make_groups()
                await self._link.call(self._register.publish)
                return
            except Exception as error:
                if is_hopeless(error):
                    raise RedisUnusable(sentence(error, self._settings.redis)) from None
                if not is_away(error):
                    raise
                if once:
                    return
            await self._link.pause()

    # -- taking work in

    def _limit(self) -> int:
        if self._stopping or self._gate.wants_solitude or self._breaker.state is State.OPEN:
            return 0
        return 1 if self._breaker.state is State.TRIAL else self._handler.concurrency

    def _has_room(self) -> bool:
        return len(self._hand) < self._limit()

    async def _wait_for_room(self) -> bool:
        """True once there is room; False when the worker stops."""
        while not self._stopping:
            if self._has_room():
                return True
            self._room.clear()
            with suppress(TimeoutError):
                # also by time: the gate and the breaker change without a word
                async with asyncio.timeout(ROOM_EVERY_S):
                    await self._room.wait()
        return False

    async def _read(self, reader: Reader) -> None:
        while not self._stopping:
            if not await self._wait_for_room():
                return
            for work in await self._intake(reader, reader.new) or []:
                await self._accept(reader, work)

    async def _reclaim(self, reader: Reader) -> None:
        while not self._stopping:
            if not await self._wait_for_room():
                return
            works = await self._intake(reader, reader.handed_back)
            if not works and self._has_room():
                room = self._limit() - len(self._hand)
                works = await self._intake(reader, partial(reader.abandoned, room))
            for work in works or []:
                await self._accept(reader, work)
            if not works:
                await asyncio.sleep(RECLAIM_EVERY_S)

    async def _intake(self, reader: Reader, read: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """One read; what goes wrong is waited out, never spun on."""
        try:
            return await read()
        except Exception as error:
            if is_no_group(error):
                log.warning("group_lost", streams=list(reader.streams))
                await self._link.pause()
                await self._intake(reader, reader.make_groups)
            elif is_away(error) or is_hopeless(error):
                await self._link.pause()
            else:
                log.exception("read_failed")
                await self._link.pause()
            return None

    async def _accept(self, reader: Reader, work: Work) -> None:
        """Start work, or give it back if the room went meanwhile."""
        if not self._has_room():
            await self._hand.give_back(work)
            return
        held = self._hand.take(work)
        if held is not None:
            held.task = asyncio.create_task(self._work(reader, held))

    # -- working

    async def _work(self, reader: Reader, held: Held) -> None:
        work = held.work
        structlog.contextvars.bind_contextvars(stage=self._handler.role, entry=work.claim.entry)
        try:
            async with self._gate.alone() if work.is_suspicious else self._gate.shared():
                await self._attempt(reader, held)
        except asyncio.CancelledError:
            if not held.lost:
                raise
        except Exception:
            log.exception("work_failed")  # it stays pending and comes back after claim_idle
        finally:
            self._hand.release(held)
            self._room.set()

    async def _attempt(self, reader: Reader, held: Held) -> None:
        desk = Desk(self._link, self._register, held)
        limit = self._settings.worker.max_deliveries
        pause_s = FIRST_RETRY_S
        while True:
            work = held.work
            if work.deliveries > limit:
                await self._bury(
                    held,
                    desk,
                    "max_deliveries",
                    f"delivered {work.deliveries} times, never settled",
                )
                return
            try:
                settled = await self._handler.handle(work, desk)
            except Lost as error:
                self._say_lost(held, str(error))
                return
            except (Permanent, BadEntry, BadInput, Refused) as error:
                await self._bury(held, desk, _reason(error), str(error))
                return
            except Transient as error:
                if error.opens_breaker:
                    self._breaker.failed(str(error))
                    await self._hand.give_back(work)
                    return
                wait_s = error.retry_after or jittered(pause_s)
                log.warning("trying_again", why=str(error), in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)
            except Exception as error:
                if is_away(error) or is_hopeless(error):
                    await self._link.pause()
                    continue
                log.exception("handler_failed", deliveries=work.deliveries)
                if work.deliveries >= limit:
                    await self._bury(held, desk, "failed", f"{type(error).__name__}: {error}")
                    return
                await asyncio.sleep(jittered(pause_s))
                again = await self._link.lasting(reader.again, work)
                if again is None:
                    self._say_lost(held, "the claim passed to another worker")
                    return
                held.work = again
            else:
                self._breaker.succeeded()
                if settled is not Settled.OK:
                    self._say_lost(held, f"the result was {settled.value} and changed nothing")
                return
            pause_s = min(pause_s * 2, self._settings.worker.backoff_max_s)

    def _say_lost(self, held: Held, why: str) -> None:
        if not held.lost:
            held.lost = True
            log.warning("claim_lost", why=why)

    async def _bury(self, held: Held, desk: Desk, reason: str, error: str) -> None:
        work = held.work
        log.error("buried", reason=reason, error=error, deliveries=work.deliveries)
        try:
            await self._handler.bury(work, desk, reason=reason, error=error)
        except Refused as refusal:
            log.error("cannot_bury", why=str(refusal))

    def _server_changed(self, why: str | None) -> None:
        self._register.says(state="waiting" if why else "ready", waits_for=why)
        self._room.set()

    # -- staying and leaving

    async def _beat(self) -> None:
        """Heartbeats for what is in hand, and the worker's own sign of life."""
        interval_s = self._settings.worker.claim_idle_s / BEATS_PER_CLAIM
        while True:
            self._register.says(in_hand=len(self._hand))
            try:
                await self._hand.beat()
                await self._link.call(self._register.publish)
            except Exception as error:
                if is_away(error) or is_hopeless(error):
                    await self._link.pause()
                    continue
                log.exception("heartbeat_failed")
            await asyncio.sleep(interval_s)

    async def _drain(self, intake: list["asyncio.Task[None]"]) -> None:
        """Stop taking, finish what is in hand, hand back the rest, leave."""
        self._stopping = True
        self._room.set()
        self._register.says(state="draining")
        log.info("draining", in_hand=len(self._hand))
        # a blocked read must end by itself: cancelling it could lose the entry it was answered
        await asyncio.wait(intake, timeout=BLOCK_MS / 1000 + 1)
        held = list(self._hand.held.values())
        tasks = [one.task for one in held if one.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=self._settings.worker.drain_timeout_s)
        unfinished = [one.work for one in held if one.task is not None and not one.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self._hand.give_back(*unfinished)
                for reader in self._readers:
                    for stream in reader.streams:
                        await leave(self._store, stream, self._handler.group, self._name)
                await self._register.remove()
        except Exception as error:
            if not (is_away(error) or isinstance(error, TimeoutError)):
                raise
            log.warning("left_without_goodbye", why="Redis is away", unfinished=len(unfinished))
            return
        if unfinished:
            log.info("handed_back", count=len(unfinished))


def _reason(error: Exception) -> str:
    if isinstance(error, Permanent):
        return "permanent"
    return "bad_audio" if isinstance(error, BadInput) else "bad_entry"


async def _first_of(stop: asyncio.Event, tasks: list["asyncio.Task[None]"]) -> None:
    """Until `stop` is set; a background task that ends before is a bug, and raises."""
    stopping = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    for task in done - {stopping}:
        task.result()


async def _unless(stop: asyncio.Event, work: Awaitable[None]) -> bool:
    """Run `work`, given up when `stop` is set first; whether it was finished."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        return False
    finally:
        task.cancel()
        stopping.cancel()
