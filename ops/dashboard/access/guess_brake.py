"""Slowing down those who guess the token, without locking out whoever has it.

Each wrong token makes its address wait before the next one is looked at, longer each time, and all
addresses together wait a little. A right token costs nothing. A token that must wait is not looked
at before its time, so many connections guess no faster than one; only few may wait.
"""

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

FREE: Final = 3
"""Wrong tokens of one address without a pause: everybody mistypes."""

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 8.0
"""Pauses double from the first to the longest one, which a person can still wait for."""

KNOWN_PAUSE_S: Final = 1.0
"""The longest pause for an address from which the right token has come: whoever has it may share
the address with those who guess (a proxy, a household)."""

EVERYBODY_PAUSE_S: Final = 0.1
"""The pause of all addresses together: ten guesses a second, however many addresses guess."""

WAITING_OF_ONE: Final = 8
WAITING_OF_ALL: Final = 64
"""How many tokens may wait; one more is refused at once. Addresses that sent wrong tokens and those
that sent none have WAITING_OF_ALL each, so the former do not crowd out the latter."""

FORGET_S: Final = 900.0
"""Time after its last wrong token in which an address is forgotten."""

ADDRESSES: Final = 1_024
"""How many addresses are remembered: about 400 kB."""

IPV6_NETWORK_BITS: Final = 64
"""One visitor usually has a whole network of this size (RFC 6177)."""

log = structlog.get_logger(__name__)


class TooManyGuesses(Exception):
    """Too many tokens wait, so this one is not looked at. Try again after `retry_after_s`."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many wrong tokens came: try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class _Guesser:
    """An address that sent wrong tokens. `free_at`: when its next one is looked at."""

    wrong: int = 0
    free_at: float = 0.0
    last_at: float = 0.0
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class GuessBrake:
    """Decides when a token is looked at. Times are s of `clock`."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._everybody = asyncio.Lock()
        self._waiting = {True: 0, False: 0}  # by whether the address sent wrong tokens
        self._free_at = -math.inf
        self._last_wrong_at = -math.inf
        self._wrong = 0

    async def judge(self, address: str, is_right: Callable[[], bool]) -> bool:
        """Wait for the turn of `address`, then return whether its token is right.

        Raises TooManyGuesses, without having looked, when too many wait already.
        """
        visitor = visitor_of(address)
        guesser = self._find_guesser(visitor)
        if guesser is None and self._clock() >= self._free_at:
            return self._look(visitor, is_right)  # nobody guesses
        async with self._wait(visitor, guesser or self._add_guesser(visitor)):
            return self._look(visitor, is_right)

    def _look(self, visitor: str, is_right: Callable[[], bool]) -> bool:
        if is_right():
            _remember(self._known, visitor)
            return True
        self._note_wrong(visitor)
        return False

    @asynccontextmanager
    async def _wait(self, visitor: str, guesser: _Guesser) -> AsyncIterator[None]:
        is_known, guessed = visitor in self._known, guesser.wrong > 0
        self._refuse_too_many(guesser, is_known=is_known)
        guesser.waiting += 1
        self._waiting[guessed] += 1
        try:
            async with guesser.turn:
                await self._sleep(max(0.0, guesser.free_at - self._clock()))
                if is_known:  # its own pause is enough: others must not slow it down
                    yield
                    return
                async with self._everybody:
                    await self._sleep(max(0.0, self._free_at - self._clock()))
                    yield
        finally:
            guesser.waiting -= 1
            self._waiting[guessed] -= 1

    def _refuse_too_many(self, guesser: _Guesser, *, is_known: bool) -> None:
        if guesser.waiting >= WAITING_OF_ONE:
            pause_s = max(1.0, guesser.waiting * _pause_s(guesser.wrong, is_known=is_known))
            raise TooManyGuesses(math.ceil(pause_s))
        if self._waiting[guesser.wrong > 0] >= WAITING_OF_ALL and not is_known:
            raise TooManyGuesses(math.ceil(WAITING_OF_ALL * EVERYBODY_PAUSE_S))

    def _note_wrong(self, visitor: str) -> None:
        now = self._clock()
        guesser = self._find_guesser(visitor) or self._add_guesser(visitor)
        guesser.wrong += 1
        guesser.last_at = now
        guesser.free_at = now + _pause_s(guesser.wrong, is_known=visitor in self._known)
        if now - self._last_wrong_at > FORGET_S:
            self._wrong = 0
        self._wrong += 1
        self._last_wrong_at = now
        self._free_at = now + (EVERYBODY_PAUSE_S if self._wrong > FREE else 0.0)
        if self._wrong == FREE + 1:  # once, until nobody has guessed for a while
            log.warning("token_guessed", address=visitor, why="wrong tokens come again and again")

    def _find_guesser(self, visitor: str) -> _Guesser | None:
        found = self._guessers.get(visitor)
        if found is None:
            return None
        if not found.waiting and self._clock() - found.last_at > FORGET_S:
            del self._guessers[visitor]
            return None
        self._guessers.move_to_end(visitor)
        return found

    def _add_guesser(self, visitor: str) -> _Guesser:
        if len(self._guessers) >= ADDRESSES:  # those that wait are few
            oldest = next(name for name, one in self._guessers.items() if not one.waiting)
            del self._guessers[oldest]
        made = self._guessers[visitor] = _Guesser(last_at=self._clock())
        return made


def visitor_of(address: str) -> str:
    """Return whom an address stands for: itself, or its network of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, IPV6_NETWORK_BITS), strict=False))


def _pause_s(wrong: int, *, is_known: bool) -> float:
    """Return the pause after that many wrong tokens (s)."""
    if wrong <= FREE:
        return 0.0
    doublings = min(wrong - FREE - 1, 16)  # more would only make large numbers
    return min(FIRST_PAUSE_S * float(2**doublings), KNOWN_PAUSE_S if is_known else LONGEST_PAUSE_S)


def _remember(names: OrderedDict[str, None], name: str) -> None:
    """Add a name, and forget the one that was not seen for the longest."""
    names[name] = None
    names.move_to_end(name)
    while len(names) > ADDRESSES:
        names.popitem(last=False)
