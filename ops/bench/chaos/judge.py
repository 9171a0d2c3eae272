"""The judge of a run: it counts from the results stream, and from the keys that the run left.

It reads the raw keys and does not use `common/status`, whose mistakes it would share.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from common.events import (
    Ending,
    Error,
    Event,
    Heard,
    Reply,
    Skipped,
    Transcript,
    TurnKey,
)
from common.keys import LLM_GROUP, SHARDS, STT_GROUP
from common.redis.store import Store
from common.settings import LlmSettings
from ops.bench.chaos.plan import ERRORS, Kind, PlannedUtterance
from ops.bench.chaos.results import read_results
from ops.bench.chaos.speech import InstantEngine, spoken_text
from ops.demo.recording_file import normalise, read_sentences
from ops.demo.standin.api.protocol import Message
from ops.demo.standin.wit.replies import reply_to
from workers.llm.persona import Persona, Personas
from workers.llm.prompt import build_prompt, join_texts, round_messages

Conversation = tuple[str, int]
"""Session and epoch."""

PAGE: Final = 1_000
MOST_SENTENCES: Final = 20


@dataclass(slots=True)
class Findings:
    """The counts of a run, and in `broken` a sentence for each broken promise, up to a limit."""

    accepted: int = 0
    answered: int = 0
    merged: int = 0
    interrupted: int = 0
    skipped: int = 0
    errors: int = 0
    planted_errors: dict[str, int] = field(default_factory=dict)
    """How many of each planted kind ended in the error of that kind, with its sentence."""
    lost: int = 0
    unheard: int = 0
    """How many of the lost left their outbox, but never reached the results."""
    duplicated: int = 0
    out_of_order: int = 0
    misheard: int = 0
    wrong_replies: int = 0
    wrong_errors: int = 0
    wrong_histories: int = 0
    dead_letters: int = 0
    pending: int = 0
    waiting: int = 0
    open_sessions: int = 0
    leftover_keys_without_ttl: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, counter: str, sentence: str, by: int = 1) -> None:
        """Count a broken promise, and keep the sentence about it."""
        setattr(self, counter, getattr(self, counter) + by)
        if len(self.broken) < MOST_SENTENCES:
            self.broken.append(f"{counter}: {sentence}")


async def judge(
    store: Store,
    planned: Sequence[PlannedUtterance],
    llm: LlmSettings,
    model: str,
    *,
    malformed: int = 0,
) -> Findings:
    """Count a run that has come to rest: every planned utterance should have ended as planned.

    `malformed` entries were added to the streams from outside; they should be dead letters.
    """
    findings = Findings()
    events: list[Event] = []
    for shard in store.all_shards():
        of_shard = [event async for event in read_results(store, shard)]
        _check_order(findings, of_shard)
        events += of_shard
    turns: dict[TurnKey, list[Event]] = defaultdict(list)
    for event in events:
        turns[event.key].append(event)
    endings = _check_turns(findings, turns)
    _check_utterances(findings, turns, planned)
    _check_words(findings, turns, endings, planned, model)
    _check_errors(findings, endings, planned)
    histories = _check_replies(findings, turns, endings, Personas(llm).default)
    await _check_histories(findings, store, histories)
    await _check_leftovers(findings, store, expected_letters=findings.errors + malformed)
    return findings


def _check_order(findings: Findings, events: Iterable[Event]) -> None:
    """Check that each turn's reply or error comes before the replies to later turns."""
    latest: dict[Conversation, int] = {}
    for event in events:
        if not isinstance(event, (Reply, Error)):
            continue
        conversation = event.session, event.epoch
        before = latest.get(conversation, 0)
        if event.turn <= before:
            findings.add("out_of_order", f"{event.session} turn {event.turn} after {before}")
        if isinstance(event, Reply):
            latest[conversation] = event.turn


def _check_turns(findings: Findings, turns: Mapping[TurnKey, list[Event]]) -> dict[TurnKey, Ending]:
    """Check that each turn has one ending, and each of its other events once and in order."""
    endings: dict[TurnKey, Ending] = {}
    for turn, events in turns.items():
        kinds = [event.type for event in events]
        ends = [event for event in events if isinstance(event, Ending)]
        findings.accepted += kinds.count("heard")
        if kinds[0] != "heard" or kinds.count("heard") != 1 or kinds.count("transcript") > 1:
            findings.add("duplicated", f"{turn} went {' '.join(kinds)}")
        if not ends:
            findings.add("lost", f"{turn} never ended ({' '.join(kinds)})")
            continue
        if len(ends) > 1 or kinds[-1] != ends[0].type:
            findings.add("duplicated", f"{turn} ended more than once: {' '.join(kinds)}")
        ending = endings[turn] = ends[0]
        match ending:
            case Reply(data=reply):
                findings.answered += 1
                findings.interrupted += reply.interrupted
            case Skipped(data=skip) if skip.reason == "merged":
                findings.answered += 1
                findings.merged += 1
            case Skipped():
                findings.skipped += 1
            case Error():
                findings.errors += 1
    return endings


def _check_utterances(
    findings: Findings, turns: Mapping[TurnKey, list[Event]], planned: Sequence[PlannedUtterance]
) -> None:
    """Check that each planned utterance was heard once, in the order of its session."""
    places: dict[str, list[TurnKey]] = defaultdict(list)
    for turn, events in turns.items():
        for event in events:
            if isinstance(event, Heard):
                places[event.id].append(turn)
    before: dict[str, TurnKey] = {}
    for utterance in planned:
        found = places.pop(utterance.id, [])
        if not found:
            findings.unheard += 1
            findings.add("lost", f"{utterance.id} was said and never heard")
            continue
        if len(found) > 1:
            findings.add("duplicated", f"{utterance.id} was heard as {found}")
        if utterance.session in before and found[0] <= before[utterance.session]:
            findings.add("out_of_order", f"{utterance.id} was heard as {found[0]}")
        before[utterance.session] = found[0]
    for unplanned in places:
        findings.add("duplicated", f"{unplanned} was heard, but nobody said it")


def _check_words(
    findings: Findings,
    turns: Mapping[TurnKey, list[Event]],
    endings: Mapping[TurnKey, Ending],
    planned: Sequence[PlannedUtterance],
    model: str,
) -> None:
    """Check that transcripts hold the spoken words, and that noise and only noise was skipped."""
    by_id = {utterance.id: utterance for utterance in planned}
    for turn, events in turns.items():
        utterance = by_id.get(events[0].id)
        if utterance is None:
            continue
        for event in events:
            if isinstance(event, Transcript) and not _is_right(event.data.text, utterance, model):
                findings.add("misheard", f"{utterance.id} was heard as {event.data.text!r}")
        ending = endings.get(turn)
        reason = ending.data.reason if isinstance(ending, Skipped) else ""
        kind = utterance.kind
        if model == InstantEngine.name and (reason == "noise") != (kind is Kind.NOISE):
            findings.add("misheard", f"{utterance.id}, {kind.name}, ended as {reason or 'speech'}")


def _is_right(text: str, utterance: PlannedUtterance, model: str) -> bool:
    if model == InstantEngine.name:
        return text == spoken_text(utterance.number, utterance.kind)
    sentence = read_sentences()[utterance.number % len(read_sentences())]
    return normalise(text) == normalise(sentence.text)


def _check_errors(
    findings: Findings, endings: Mapping[TurnKey, Ending], planned: Sequence[PlannedUtterance]
) -> None:
    """Check that each planted utterance ended in its error, and no other in any."""
    errors = {ending.id: ending for ending in endings.values() if isinstance(ending, Error)}
    for utterance in planned:
        expected, error = ERRORS.get(utterance.kind), errors.pop(utterance.id, None)
        if expected is None and error is None:
            continue
        name = utterance.kind.name.lower()
        if expected is None or error is None:
            how = "was planted, but did not end" if error is None else "was not planted, but ended"
            findings.add("wrong_errors", f"{utterance.id}, {name}, {how} in an error")
        elif not expected.matches(error.data):
            findings.add("wrong_errors", f"{utterance.id}, {name}, ended in {error.data}")
        else:
            findings.planted_errors[name] = findings.planted_errors.get(name, 0) + 1
    for unplanned in sorted(errors):
        findings.add("wrong_errors", f"{unplanned} ended in an error, but nobody said it")


def _check_replies(
    findings: Findings,
    turns: Mapping[TurnKey, list[Event]],
    endings: Mapping[TurnKey, Ending],
    persona: Persona,
) -> dict[Conversation, list[dict[str, str]]]:
    """Check that each reply is what the stand-in answers to this question after this history.

    Returns the history that each conversation should have.
    """
    texts = {
        turn: event.data.text
        for turn, events in turns.items()
        for event in events
        if isinstance(event, Transcript)
    }
    histories: dict[Conversation, list[dict[str, str]]] = defaultdict(list)
    waiting: dict[Conversation, list[str]] = defaultdict(list)
    for turn, ending in sorted(endings.items()):
        conversation, text = turn[:2], texts.get(turn, "")
        if isinstance(ending, Skipped) and ending.data.reason == "merged":
            waiting[conversation].append(text)
        if not isinstance(ending, Reply):
            continue
        question = join_texts([*waiting.pop(conversation, []), text])
        reply = ending.data
        expected = _expected_reply(persona, histories[conversation], question)
        if not (expected.startswith(reply.text) if reply.interrupted else expected == reply.text):
            findings.add("wrong_replies", f"{turn}: {reply.text!r} instead of {expected!r}")
        histories[conversation] += round_messages(question, reply.text)
    return {
        conversation: messages[-2 * persona.rounds :]
        for conversation, messages in histories.items()
    }


def _expected_reply(persona: Persona, history: list[dict[str, str]], question: str) -> str:
    prompt = build_prompt(persona, history, [question])
    return reply_to([Message.model_validate(message) for message in prompt.messages()])


async def _check_histories(
    findings: Findings, store: Store, histories: Mapping[Conversation, list[dict[str, str]]]
) -> None:
    """Check that each conversation that has not expired has the history that it should have."""
    redis: Any = store.redis
    for (session, epoch), expected in histories.items():
        shard = store.shard(session)
        if await redis.hget(shard.session(session), "epoch") != str(epoch).encode():
            continue
        kept = await redis.lrange(shard.history(session), 0, -1)
        if [json.loads(message) for message in kept] != expected:
            findings.add("wrong_histories", f"{session} has another history than it should have")


async def _check_leftovers(findings: Findings, store: Store, *, expected_letters: int) -> None:
    """Check that no work waits or is claimed, and that all other keys expire."""
    redis: Any = store.redis
    permanent = {SHARDS}
    for shard in store.all_shards():
        streams = {
            shard.utterances: STT_GROUP,
            shard.recordings: STT_GROUP,
            shard.turns: LLM_GROUP,
        }
        permanent |= {*streams, shard.results, shard.deltas, shard.dead}
        for stream, group in streams.items():
            if length := await redis.xlen(stream):
                findings.add("waiting", f"{length} entries are left in {stream}", length)
            if pending := (await redis.xpending(stream, group))["pending"]:
                findings.add("pending", f"{pending} entries of {stream} are claimed", pending)
        if left := await redis.zcard(shard.open):
            findings.add("open_sessions", f"{left} sessions are unfinished", left)
        findings.dead_letters += await redis.xlen(shard.dead)
    async for key in redis.scan_iter(count=PAGE):
        if key.decode() not in permanent and await redis.pttl(key) == -1:
            findings.add("leftover_keys_without_ttl", f"{key.decode()} never expires")
    if findings.dead_letters != expected_letters:
        findings.broken.append(
            f"there are {findings.dead_letters} dead letters instead of {expected_letters}"
        )
