"""What crosses the stream is an utterance or is refused with a sentence, whatever bytes come."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.errors import BadEntry
from common.keys import SESSION_ID, UTTERANCE_ID, check_session_id
from common.utterance import MAX_MS, MAX_SAMPLES, NAME, Utterance

MAX_AUDIO = 1_000

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=64)
session_ids = st.from_regex(SESSION_ID, fullmatch=True).filter(SESSION_ID.match)
utterance_ids = st.from_regex(UTTERANCE_ID, fullmatch=True).filter(UTTERANCE_ID.match)
durations = st.integers(0, MAX_MS)

utterances = st.builds(
    Utterance,
    id=utterance_ids,
    session=session_ids,
    turn=st.integers(1, MAX_MS),
    revision=st.integers(1, 1_000_000),
    final=st.booleans(),
    codec=st.sampled_from(["flac", "pcm_s16le"]),
    rate=st.integers(8_000, 192_000),
    samples=st.integers(0, MAX_SAMPLES),
    audio=st.binary(max_size=MAX_AUDIO),
    speech_ms=durations,
    hold_ms=durations,
    source=names,
    language=st.from_regex(r"[A-Za-z-]{0,16}", fullmatch=True),
    persona=names,
    answer=st.booleans(),
    interrupt=st.booleans(),
    continued=st.booleans(),
    replay_of=names,
    traceparent=st.just("")
    | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True),
)


def entry_of(utterance: Utterance) -> dict[bytes, bytes]:
    """The stream entry as Redis hands it out: `publish` adds the turn, all values are bytes."""
    fields = [*utterance.to_fields(), "turn", utterance.turn]
    values = [field if isinstance(field, bytes) else str(field).encode() for field in fields]
    return dict(zip(values[::2], values[1::2], strict=True))


def _entry(**changed: bytes) -> dict[bytes, bytes]:
    utterance = Utterance(id="u1", session="s1", turn=1, audio=b"fLaC", samples=4)
    return entry_of(utterance) | {name.encode(): value for name, value in changed.items()}


def _refusal(entry: dict[bytes, bytes]) -> str:
    with pytest.raises(BadEntry) as refused:
        Utterance.from_fields(entry, max_audio=MAX_AUDIO)
    sentence = str(refused.value)
    assert sentence.startswith("the entry")
    assert len(sentence) < 400
    return sentence


@given(utterances)
def test_an_utterance_comes_out_of_its_entry_as_it_went_in(utterance: Utterance) -> None:
    assert Utterance.from_fields(entry_of(utterance), max_audio=MAX_AUDIO) == utterance


@given(utterances)
def test_what_later_stages_need_is_json_without_audio(utterance: Utterance) -> None:
    kept = json.loads(json.dumps(utterance.for_later_stages()))
    assert "audio" not in kept
    assert bool(kept["answer"]) is utterance.answer
    assert bool(kept["interrupt"]) is utterance.interrupt
    assert kept.get("persona", "") == utterance.persona
    assert kept.get("traceparent", "") == utterance.traceparent


field_names = st.sampled_from([name.encode() for name in Utterance.model_fields])
hostile = st.one_of(
    st.binary(max_size=40),
    st.integers().map(lambda number: str(number).encode()),
    st.floats().map(lambda number: str(number).encode()),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"", b"0", b"1", b"true", b"nan", b"1_0", b" 1", b"-1", b"1e400", b"9" * 9_999]
    ),
)


@given(
    st.dictionaries(field_names | st.binary(max_size=12), hostile),
    st.booleans(),
)
@example(changes={b"turn": b"9" * 9_999}, whole=True)
@example(changes={b"samples": b"1000000000000"}, whole=True)
@example(changes={b"session": b"a\n"}, whole=True)
def test_whatever_bytes_come_only_bad_entry_is_raised(
    changes: dict[bytes, bytes], whole: bool
) -> None:
    entry = (_entry() if whole else {}) | changes
    refused = None
    try:
        utterance = Utterance.from_fields(entry, max_audio=MAX_AUDIO)
    except BadEntry as error:
        refused = str(error)
    if refused is not None:
        assert refused.startswith("the entry")
        assert "\n" not in refused
        return
    assert check_session_id(utterance.session)
    assert UTTERANCE_ID.match(utterance.id)
    assert 1 <= utterance.turn <= MAX_MS
    assert 0 <= utterance.samples <= MAX_SAMPLES
    assert max(utterance.speech_ms, utterance.hold_ms) <= MAX_MS
    assert len(utterance.audio) <= MAX_AUDIO
    assert re.fullmatch(NAME, utterance.source + utterance.persona + utterance.replay_of)


@pytest.mark.parametrize(
    "session",
    [
        b"",
        b"a" * 65,
        b"a" * 1_000_000,
        b"a\n",
        b"\na",
        b"a b",
        b"{0}",
        b"a}:session:b",
        b"a/b",
        b"a*",
        b"a\x00",
        b"\xc3\xa9",
        b"\xff",
        b"a\r\nDEL x",
    ],
)
def test_hostile_session_ids_are_refused(session: bytes) -> None:
    assert "session" in _refusal(_entry(session=session))


@pytest.mark.parametrize("utterance", [b"", b"a" * 129, b"u\n", b"u v", b"u{v}", b"\xff"])
def test_hostile_utterance_ids_are_refused(utterance: bytes) -> None:
    assert "field id" in _refusal(_entry(id=utterance))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"v": b"2"}, "schema version 2, and this program reads 1: upgrade it"),
        ({"v": b""}, "schema version"),
        ({"v": b"x" * 1_000}, "schema version"),
        ({"codec": b"mp3"}, "field codec"),
        ({"rate": b"0"}, "field rate"),
        ({"rate": b"7999"}, "field rate"),
        ({"samples": b"-1"}, "field samples"),
        ({"samples": b"1000000001000"}, "field samples"),
        ({"samples": b"lots"}, "field samples"),
        ({"audio": b"x" * (MAX_AUDIO + 1)}, f"more than {MAX_AUDIO} bytes"),
        ({"turn": b"0"}, "without `publish`"),
        ({"turn": b"-3"}, "field turn"),
        ({"revision": b"0"}, "field revision"),
        ({"final": b"perhaps"}, "field final"),
        ({"speech_ms": b"1e3"}, "field speech_ms"),
        ({"hold_ms": b"9" * 30}, "field hold_ms"),
        ({"source": b"a\nb"}, "field source"),
        ({"source": b"a" * 201}, "field source"),
        ({"source": b"\xff"}, "field source is not UTF-8"),
        ({"persona": b"\x1b[2J"}, "field persona"),
        ({"language": b"en\x00"}, "field language"),
        ({"traceparent": b"00-xyz"}, "field traceparent"),
        ({"traceparent": b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01\n"}, "field traceparent"),
    ],
)
def test_the_sentence_says_which_field_is_wrong(changed: dict[str, bytes], said: str) -> None:
    assert said in _refusal(_entry(**changed))


@pytest.mark.parametrize(
    ("missing", "said"), [("v", "missing"), ("id", "id"), ("session", "session")]
)
def test_a_missing_field_is_named(missing: str, said: str) -> None:
    entry = _entry()
    del entry[missing.encode()]
    assert said in _refusal(entry)


def test_an_entry_that_was_added_without_publish_says_so() -> None:
    entry = _entry()
    del entry[b"turn"]
    assert "without `publish`" in _refusal(entry)


def test_fields_of_a_newer_version_are_no_obstacle() -> None:
    entry = _entry() | {b"mood": b"\xff", b"\xff\xfe": b"x"}
    assert Utterance.from_fields(entry, max_audio=MAX_AUDIO).id == "u1"


def test_audio_of_exactly_the_limit_is_taken() -> None:
    entry = _entry(audio=b"x" * MAX_AUDIO)
    assert len(Utterance.from_fields(entry, max_audio=MAX_AUDIO).audio) == MAX_AUDIO


@pytest.mark.parametrize(
    "values",
    [
        {"session": "a\n"},
        {"session": "ä"},
        {"id": "u\n"},
        {"persona": "two\nlines"},
        {"language": "en\n"},
    ],
)
def test_a_producer_cannot_make_what_a_worker_would_bury(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Utterance(**({"id": "u1", "session": "s1"} | values))
