"""What became of a run: counted from the results stream and from the keys that it left behind.

It reads the raw keys, not by way of common/status, so that a mistake there cannot hide here.
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
    parse_event,
)
from common.keys import LLM_GROUP, SHARDS, STT_GROUP, Shard
from common.redis.store import Store
from common.settings import LlmSettings
from ops.bench.chaos.plan import Kind, Planned, planted_ids
from ops.bench.chaos.speech import InstantEngine, spoken_text
from ops.demo.recording_file import normalise, read_sentences
from ops.demo.standin.api.protocol import Message
from ops.demo.standin.wit.replies import reply_to
from workers.llm.persona import Persona, Personas
from workers.llm.prompt import build_prompt, join_texts, round_messages

Conversation = tuple[str, int]
PAGE: Final = 1_000
SHOWN: Final = 20


@dataclass(slots=True)
class Findings:
    """Counts, and in `broken` a sentence for each promise that was found broken."""

    accepted: int = 0
    answered: int = 0
    merged: int = 0
    interrupted: int = 0
    skipped: int = 0
    errors: int = 0
    lost: int = 0
    unheard: int = 0
    """Those of the lost that an outbox has let go of and no stream has ever held."""
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

    def blame(self, counter: str, sentence: str, by: int = 1) -> None:
        setattr(self, counter, getattr(self, counter) + by)
        if len(self.broken) < SHOWN:
            self.broken.append(f"{counter}: {sentence}")


async def judge(
    store: Store, said: Sequence[Planned], llm: LlmSettings, model: str, *, foreign: int = 0
) -> Findings:
    """Count a run that has come to rest. `said` is everything that was to be heard.

    `foreign` malformed entries were added to the streams from outside: they end as dead letters.
    """
    findings = Findings()
    events: list[Event] = []
    for shard in store.all_shards():
        of_shard = [event async for event in _results(store, shard)]
        _check_order(findings, of_shard)
        events += of_shard
    turns: dict[TurnKey, list[Event]] = defaultdict(list)
    for event in events:
        turns[event.key].append(event)
    endings = _check_turns(findings, turns)
    _check_utterances(findings, turns, said)
    _check_words(findings, turns, endings, said, model)
    _check_errors(findings, endings, said)
    histories = _check_replies(findings, turns, endings, Personas(llm).default)
    await _check_histories(findings, store, histories)
    await _check_rest(findings, store, expected_letters=findings.errors + foreign)
    return findings


async def _results(store: Store, shard: Shard) -> Any:
    redis: Any = store.redis
    start = "-"
    while rows := await redis.xrange(shard.results, start, "+", count=PAGE):
        for _, fields in rows:
            yield parse_event(fields)
        start = f"({rows[-1][0].decode()}"


def _check_order(findings: Findings, events: Iterable[Event]) -> None:
    latest: dict[tuple[str, int], int] = {}
    for event in events:
        if isinstance(event, Reply):
            before = latest.get((event.session, event.epoch), 0)
            if event.turn <= before:
                findings.blame("out_of_order", f"{event.session} turn {event.turn} after {before}")
            latest[event.session, event.epoch] = event.turn


def _check_turns(findings: Findings, turns: Mapping[TurnKey, list[Event]]) -> dict[TurnKey, Ending]:
    """Each turn that was heard has one ending, and its other events once, in their order."""
    endings: dict[TurnKey, Ending] = {}
    for turn, events in turns.items():
        kinds = [event.type for event in events]
        ends = [event for event in events if isinstance(event, Ending)]
        findings.accepted += kinds.count("heard")
        if kinds[0] != "heard" or kinds.count("heard") != 1 or kinds.count("transcript") > 1:
            findings.blame("duplicated", f"{turn} went {' '.join(kinds)}")
        if not ends:
            findings.blame("lost", f"{turn} never ended ({' '.join(kinds)})")
            continue
        if len(ends) > 1 or kinds[-1] != ends[0].type:
            findings.blame("duplicated", f"{turn} ended more than once: {' '.join(kinds)}")
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
    findings: Findings, turns: Mapping[TurnKey, list[Event]], said: Sequence[Planned]
) -> None:
    """Everything that was said was heard, once, in the session's order."""
    places: dict[str, list[TurnKey]] = defaultdict(list)
    for turn, events in turns.items():
        for event in events:
            if isinstance(event, Heard):
                places[event.id].append(turn)
    before: dict[str, TurnKey] = {}
    for one in said:
        found = places.pop(one.id, [])
        if not found:
            findings.unheard += 1
            findings.blame("lost", f"{one.id} was said and never heard")
            continue
        if len(found) > 1:
            findings.blame("duplicated", f"{one.id} was heard as {found}")
        if one.session in before and found[0] <= before[one.session]:
            findings.blame("out_of_order", f"{one.id} was heard as {found[0]}")
        before[one.session] = found[0]
    for stranger in places:
        findings.blame("duplicated", f"{stranger} was heard and nobody said it")


def _check_words(
    findings: Findings,
    turns: Mapping[TurnKey, list[Event]],
    endings: Mapping[TurnKey, Ending],
    said: Sequence[Planned],
    model: str,
) -> None:
    """Transcripts say what was said; noise, and only noise, was skipped."""
    by_id = {one.id: one for one in said}
    for turn, events in turns.items():
        one = by_id.get(events[0].id)
        if one is None:
            continue
        for event in events:
            if isinstance(event, Transcript) and not _is_right(event.data.text, one, model):
                findings.blame("misheard", f"{one.id} was heard as {event.data.text!r}")
        ending = endings.get(turn)
        reason = ending.data.reason if isinstance(ending, Skipped) else ""
        if model == InstantEngine.name and (reason == "noise") != (one.kind is Kind.NOISE):
            findings.blame("misheard", f"{one.id}, {one.kind.name}, ended as {reason or 'speech'}")


def _is_right(text: str, one: Planned, model: str) -> bool:
    if model == InstantEngine.name:
        return text == spoken_text(one.number, one.kind)
    sentence = read_sentences()[one.number % len(read_sentences())]
    return normalise(text) == normalise(sentence.text)


def _check_errors(
    findings: Findings, endings: Mapping[TurnKey, Ending], said: Sequence[Planned]
) -> None:
    """What was planted ended in an error, and nothing else."""
    expected = planted_ids(said)
    wrong = {ending.id for ending in endings.values() if isinstance(ending, Error)} ^ expected
    for utterance in sorted(wrong):
        how = "was planted and ended otherwise" if utterance in expected else "ended in an error"
        findings.blame("wrong_errors", f"{utterance} {how}")


def _check_replies(
    findings: Findings,
    turns: Mapping[TurnKey, list[Event]],
    endings: Mapping[TurnKey, Ending],
    persona: Persona,
) -> dict[Conversation, list[dict[str, str]]]:
    """Each reply is what the stand-in says to exactly these words after exactly this history.

    Returns the history that each conversation (session, epoch) has earned.
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
        talk, text = turn[:2], texts.get(turn, "")
        if isinstance(ending, Skipped) and ending.data.reason == "merged":
            waiting[talk].append(text)
        if not isinstance(ending, Reply):
            continue
        question = join_texts([*waiting.pop(talk, []), text])
        reply = ending.data
        expected = _expected_reply(persona, histories[talk], question)
        if not (expected.startswith(reply.text) if reply.interrupted else expected == reply.text):
            findings.blame("wrong_replies", f"{turn}: {reply.text!r} instead of {expected!r}")
        histories[talk] += round_messages(question, reply.text)
    return {talk: kept[-2 * persona.rounds :] for talk, kept in histories.items()}


def _expected_reply(persona: Persona, history: list[dict[str, str]], question: str) -> str:
    prompt = build_prompt(persona, history, [question])
    return reply_to([Message.model_validate(message) for message in prompt.messages()])


async def _check_histories(
    findings: Findings, store: Store, histories: Mapping[Conversation, list[dict[str, str]]]
) -> None:
    """What is remembered of each conversation that has not expired is what was said in it."""
    redis: Any = store.redis
    for (session, epoch), expected in histories.items():
        shard = store.shard(session)
        if await redis.hget(shard.session(session), "epoch") != str(epoch).encode():
            continue
        kept = await redis.lrange(shard.history(session), 0, -1)
        if [json.loads(message) for message in kept] != expected:
            findings.blame("wrong_histories", f"{session} remembers what was not said")


async def _check_rest(findings: Findings, store: Store, *, expected_letters: int) -> None:
    """Nothing waits, nothing is claimed, nothing stays for ever that should not."""
    redis: Any = store.redis
    lasting = {SHARDS}
    for shard in store.all_shards():
        streams = {
            shard.utterances: STT_GROUP,
            shard.recordings: STT_GROUP,
            shard.turns: LLM_GROUP,
        }
        lasting |= {*streams, shard.results, shard.deltas, shard.dead}
        for stream, group in streams.items():
            if length := await redis.xlen(stream):
                findings.blame("waiting", f"{length} entries are left in {stream}", length)
            if pending := (await redis.xpending(stream, group))["pending"]:
                findings.blame("pending", f"{pending} entries of {stream} are claimed", pending)
        if left := await redis.zcard(shard.open):
            findings.blame("open_sessions", f"{left} sessions are unfinished", left)
        findings.dead_letters += await redis.xlen(shard.dead)
    async for key in redis.scan_iter(count=PAGE):
        if key.decode() not in lasting and await redis.pttl(key) == -1:
            findings.blame("leftover_keys_without_ttl", f"{key.decode()} never expires")
    if findings.dead_letters != expected_letters:
        findings.broken.append(
            f"there are {findings.dead_letters} dead letters, and not {expected_letters}"
        )
