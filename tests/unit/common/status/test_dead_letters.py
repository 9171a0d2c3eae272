"""A dead letter is shown as it is, whatever made a worker stumble over it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.audio import encode
from common.errors import BadInput
from common.keys import Shard
from common.status.dead_letters import DeadLetter
from common.utterance import Utterance

AUDIO = np.arange(-800, 800, dtype=np.int16)
MAX_SAMPLES = 16_000


def _letter(**fields: bytes) -> DeadLetter:
    return DeadLetter(Shard(0), "5-0", fields)


def _with_audio(**changed: bytes) -> DeadLetter:
    fields = {
        "codec": b"flac",
        "rate": b"16000",
        "samples": str(len(AUDIO)).encode(),
        "audio": encode(AUDIO),
    }
    return _letter(**(fields | changed))


def test_what_a_person_wants_to_know() -> None:
    letter = _letter(
        session=b"s1",
        turn=b"3",
        reason=b"bad_audio",
        error=b"It is no FLAC.",
        deliveries=b"5",
        audio=b"1234",
        mood=b"bad",
    )
    assert letter.summary() == {
        "letter": "5-0",
        "session": "s1",
        "turn": 3,
        "reason": "bad_audio",
        "error": "It is no FLAC.",
        "deliveries": 5,
        "audio_bytes": 4,
    }


@given(
    st.dictionaries(
        st.sampled_from([*Utterance.model_fields, "turn", "error", "at", "deliveries"]),
        st.binary(max_size=30) | st.sampled_from([b"9" * 5_000, "²".encode(), "٣".encode()]),
    )
)
def test_whatever_it_holds_it_can_be_shown(fields: dict[str, bytes]) -> None:
    letter = DeadLetter(Shard(0), "5-0", fields)
    assert json.loads(json.dumps(letter.summary()))["letter"] == "5-0"
    assert len(letter.session) <= 64


@given(
    st.dictionaries(
        st.sampled_from(["codec", "rate", "samples", "audio"]),
        st.binary(max_size=30) | st.sampled_from([b"flac", b"16000", b"9" * 5_000, b"-1"]),
    )
)
def test_audio_that_cannot_be_saved_is_a_sentence(fields: dict[str, bytes]) -> None:
    with pytest.raises(BadInput, match="5-0"):
        DeadLetter(Shard(0), "5-0", fields).samples(MAX_SAMPLES)


def test_audio_comes_out_as_it_went_in() -> None:
    assert np.array_equal(_with_audio().samples(MAX_SAMPLES), AUDIO)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"audio": b""}, "holds no audio"),
        ({"audio": b"fLaC"}, "cannot be saved"),
        ({"codec": b"mp3"}, "no codec 'mp3'"),
        ({"rate": b"48000"}, "48000 Hz"),
        ({"samples": b"99999999"}, "at most"),
    ],
)
def test_the_sentence_says_why(changed: dict[str, bytes], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        _with_audio(**changed).samples(MAX_SAMPLES)


@pytest.mark.parametrize("session", [b"", b"a b", b"{0}", b"a\n", b"\xff", b"a" * 65])
def test_a_session_that_is_not_usable_is_none(session: bytes) -> None:
    assert _letter(session=session).session == ""
