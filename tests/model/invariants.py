"""The promises, checked on the results stream and the keys that a run leaves behind."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from common.events import (
    Ending,
    Error,
    Event,
    Heard,
    Reply,
    ReplyDelta,
    Skipped,
    Transcript,
    TurnKey,
    parse_event,
)
from tests.model.actors import Violation
from tests.model.llm_workers import reply_to
from tests.model.simulation import DAMAGED, GROUPS, SESSIONS, SHARD, Simulation, Truth
from tests.model.workers import paired


def check_all(simulation: Simulation) -> None:
    """After everything has come to rest; raises Violation with the first promise broken."""
    results = [event for event in events(simulation, SHARD.results) if event.session in SESSIONS]
    turns: dict[TurnKey, list[Event]] = defaultdict(list)
    for event in results:
        turns[event.key].append(event)
    endings = {turn: check_turn(turn, of_turn) for turn, of_turn in turns.items()}
    check_numbers(endings)
    check_order(results)
    check_words(turns, endings)
    for turn, ending in endings.items():
        check_reason(simulation.truth, turn, ending, endings)
    check_utterances(simulation.truth, turns, endings)
    check_dead_letters(simulation, results)
    check_deltas(simulation, endings)
    check_keys(simulation)
    for session in SESSIONS:
        check_session(simulation, session, results)


def events(simulation: Simulation, stream: str) -> list[Event]:
    return [parse_event(paired(flat)) for _, flat in simulation.do("XRANGE", stream, "-", "+")]


def require(holds: bool, sentence: str) -> None:
    if not holds:
        raise Violation(sentence)


def check_turn(turn: TurnKey, of_turn: list[Event]) -> Ending:
    """Heard first and once, then at most one transcript, then exactly one ending."""
    kinds = [event.type for event in of_turn]
    shown = f"{turn}: {' '.join(kinds)}"
    require(kinds[0] == "heard" and kinds.count("heard") == 1, f"heard once and first: {shown}")
    require(kinds.count("transcript") <= 1, f"transcribed twice: {shown}")
    endings = [event for event in of_turn if isinstance(event, Ending)]
    require(len(endings) == 1, f"exactly one ending: {shown}")
    require(kinds[-1] == endings[0].type, f"something came after the ending: {shown}")
    require(len({event.id for event in of_turn}) == 1, f"one utterance id: {of_turn}")
    ending = endings[0]
    if isinstance(ending, Reply) or ending_reason(ending) in ("merged", "transcript_only"):
        require("transcript" in kinds, f"answered without a transcript: {shown}")
    return ending


def ending_reason(ending: Ending) -> str:
    return "" if isinstance(ending, Reply) else ending.data.reason


def check_numbers(turns: Iterable[TurnKey]) -> None:
    """Turns of a session count from 1 without a gap."""
    numbers = defaultdict(list)
    for session, epoch, turn in turns:
        numbers[session, epoch].append(turn)
    for conversation, found in numbers.items():
        require(sorted(found) == list(range(1, len(found) + 1)), f"{conversation}: {found}")


def check_order(results: list[Event]) -> None:
    """Replies of a session come in the order spoken."""
    latest: dict[tuple[str, int], int] = {}
    for event in results:
        if isinstance(event, Reply):
            before = latest.get((event.session, event.epoch), 0)
            require(event.turn > before, f"the reply to {event.key} came after {before}'s")
            latest[event.session, event.epoch] = event.turn


def check_words(turns: dict[TurnKey, list[Event]], endings: dict[TurnKey, Ending]) -> None:
    """A reply answers exactly the turns it stands for, knowing every reply before it."""
    texts = {
        turn: event.data.text
        for turn, of_turn in turns.items()
        for event in of_turn
        if isinstance(event, Transcript)
    }
    answered = defaultdict(list)
    for turn, ending in sorted(endings.items()):
        session, epoch, number = turn
        if isinstance(ending, Skipped) and ending.data.reason == "merged":
            into = ending.data.into or 0
            require(into > number, f"{turn} was merged into {into}")
            require(
                isinstance(endings.get((session, epoch, into)), Reply),
                f"{turn} was merged into {into}, which has no reply",
            )
            answered[session, epoch, into].append(texts[turn])
        elif isinstance(ending, Reply):
            answered[turn].append(texts[turn])
    replies: dict[tuple[str, int], int] = defaultdict(int)
    for turn, ending in sorted(endings.items()):
        if isinstance(ending, Reply):
            expected = reply_to(2 * replies[turn[:2]], answered[turn])
            require(ending.data.text == expected, f"{turn}: {ending.data.text}, not {expected}")
            replies[turn[:2]] += 1


def check_reason(
    truth: Truth, turn: TurnKey, ending: Ending, endings: dict[TurnKey, Ending]
) -> None:
    """Nothing ends for a reason that nobody gave."""
    spoken = truth.spoken[ending.id]
    reason = ending_reason(ending)
    allowed = {
        "": spoken.answer,
        "merged": spoken.answer,
        "transcript_only": not spoken.answer,
        "noise": ending.id in truth.skipped,
        "poison": ending.id in truth.buried,
        "lost": ending.id in truth.vanished,
        "forgotten": turn[0] in truth.forgotten,
        # spoken long ago, or never committed
        "expired": spoken.old or ending.id not in truth.acknowledged,
    }
    require(allowed.get(reason, False), f"{turn} ended as {ending.type} {reason!r}: {spoken}")


def check_utterances(
    truth: Truth, turns: dict[TurnKey, list[Event]], endings: dict[TurnKey, Ending]
) -> None:
    """Each id has one turn, what was acknowledged has one, and only committed words are shown."""
    heard: set[str] = set()
    answered: set[str] = set()
    for turn, of_turn in turns.items():
        spoken = truth.spoken[of_turn[0].id]
        for event in of_turn:
            if isinstance(event, Heard):
                require(event.id not in heard, f"{event.id} has two turns")
                heard.add(event.id)
            elif isinstance(event, Transcript):
                require(event.data.text in spoken.committed, f"uncommitted: {event}")
        if (
            not spoken.replayed
            and not truth.went_back
            and (isinstance(endings[turn], Reply) or ending_reason(endings[turn]) == "merged")
        ):
            twice = spoken.root in answered and spoken.root not in truth.went_on
            require(not twice, f"{spoken.root} was answered twice")
            answered.add(spoken.root)
    sound = {name for name in truth.acknowledged if truth.spoken[name].session in SESSIONS}
    require(sound <= heard, f"never heard: {sound - heard}")


def check_dead_letters(simulation: Simulation, results: list[Event]) -> None:
    """What was buried is there, whole, or was replayed; and never twice."""
    found = simulation.do("XRANGE", SHARD.dead, "-", "+")
    letters = [paired(flat) for _, flat in found]
    sizes = {f"{entry.decode()} {sum(map(len, flat))}" for entry, flat in found}
    noted = {line.decode() for line in simulation.do("ZRANGE", SHARD.letters["dead_sizes"], 0, -1)}
    require(noted == sizes, f"the letters have {sizes} bytes, and {noted} are noted")
    total = int(simulation.do("GET", SHARD.letters["dead_bytes"]) or 0)
    require(total == sum(int(size.split()[1]) for size in sizes), f"{total} bytes are counted")
    kept = {letter.get(b"id", b"").decode("utf-8", "replace") for letter in letters}
    replayed = {event.data.replay_of for event in results if isinstance(event, Heard)}
    for event in results:
        if isinstance(event, Error) and event.data.reason == "poison":
            found = event.id in kept | replayed | simulation.truth.vanished
            require(found, f"no dead letter for {event}")
    for letter in letters:
        if letter.get(b"session", b"").decode("utf-8", "replace") not in SESSIONS:
            continue
        require(bool(letter.get(b"audio") or letter.get(b"text")), f"an empty letter: {letter}")


def check_deltas(simulation: Simulation, endings: dict[TurnKey, Ending]) -> None:
    """One attempt at a turn has one author, and the reply is by the author of its deltas."""
    authors: dict[tuple[TurnKey, int], str] = {}
    for event in events(simulation, SHARD.deltas):
        assert isinstance(event, ReplyDelta)
        if event.session not in SESSIONS:
            continue
        attempt = event.key, event.data.attempt
        author = authors.setdefault(attempt, event.data.text)
        require(author == event.data.text, f"two authors of {attempt}")
    for turn, ending in endings.items():
        if isinstance(ending, Reply):
            author = authors.get((turn, ending.data.attempt), ending.data.model)
            require(author == ending.data.model, f"the deltas of {turn} are of another attempt")


def check_keys(simulation: Simulation) -> None:
    """Nothing waits, nothing is claimed, nothing of a session stays for ever."""
    for stream in GROUPS:
        require(simulation.do("XLEN", stream) == 0, f"{stream} is not empty")
        require(not simulation.pending(stream), f"{stream} has pending entries")
    require(not simulation.do("EXISTS", SHARD.open), "sessions are left in `open`")
    lasting = {SHARD.results, SHARD.deltas, *SHARD.letters.values(), *GROUPS, SHARD.quarantine}
    for key in simulation.do("KEYS", "*"):
        name = key.decode()
        if name not in lasting:
            require(simulation.do("PTTL", key) > 0, f"{name} never expires")
        # records of the damaged session may stand where no turn is
        require(":inbox:" not in name or name == SHARD.inbox(DAMAGED), f"{name} is left")


AT_REST: Final = {"epoch", "last", "done", "reached", "attempt", "language"}


def check_session(simulation: Simulation, session: str, results: list[Event]) -> None:
    """The session's hash is at rest and its history is what was said."""
    state = paired(simulation.do("HGETALL", SHARD.session(session)))
    if not state:
        require(not simulation.do("EXISTS", SHARD.open), f"{session} is open and has no state")
        return
    fields = {name.decode() for name in state}
    require(fields <= AT_REST, f"{session} is not at rest: {state}")
    require(state[b"last"] == state.get(b"done"), f"{session} is unfinished: {state}")
    expected: list[dict[str, Any]] = []
    epoch = int(state[b"epoch"])
    heard = [
        event.data.language
        for event in results
        if isinstance(event, Transcript) and (event.session, event.epoch) == (session, epoch)
    ]
    require(
        b"language" in state or not any(heard), f"{session} has forgotten its language: {heard}"
    )
    for event in results:
        if isinstance(event, Reply) and (event.session, event.epoch) == (session, epoch):
            said = event.data.text.partition(":")[2]
            expected.append({"role": "user", "content": said})
            expected.append({"role": "assistant", "content": event.data.text})
    history = [json.loads(line) for line in simulation.do("LRANGE", SHARD.history(session), 0, -1)]
    require(history == expected, f"history of {session}: {history}, not {expected}")
