"""What no worker could ever work on is refused when it is published or replayed, in one sentence
and before anything changes.
"""

from typing import Any, Final

import numpy as np
import pytest

from common.audio import encode
from common.errors import Refused
from common.redis.store import Store
from common.status.dead_letters import find_dead_letter, list_letters
from common.transitions.publishing import Verdict, publish
from common.utterance import Utterance
from ops.queries.dead_letters import send_again
from tests.transitions.steps import ADA, ON_BOTH_SERVERS, SHARD, everything, limited, redis, spoken

pytestmark = ON_BOTH_SERVERS
FLAC: Final = encode(np.zeros(1_600, np.int16))
SOUND: Final[dict[str, Any]] = {"codec": "flac", "audio": FLAC, "samples": 1_600}


def said(**changes: Any) -> Utterance:
    return Utterance(session=ADA, **({"id": "u1"} | SOUND | changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rate": 8_000}, "at 8000 Hz; resample it"),
        ({"rate": 48_000}, "at 48000 Hz; resample it"),
        ({"rate": 192_000}, "at 192000 Hz; resample it"),
        ({"codec": "pcm_s16le", "audio": bytes(100)}, "1600 samples are announced"),
        ({"samples": 0}, "holds no audio"),
        ({"audio": b""}, "holds no audio"),
        ({"samples": 1_599}, "1599 samples are announced, but the audio holds 1600"),
        ({"samples": 2**30}, "at most 120.0 s"),
        ({"audio": b"RIFF" + bytes(100)}, "no readable FLAC"),
        ({"codec": "pcm_s16le", "audio": bytes(3_201)}, "no whole samples"),
    ],
)
@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("recording", [True, False])
async def test_what_can_never_be_decoded_is_refused(
    clean_store: Store, changes: dict[str, Any], sentence: str, final: bool, recording: bool
) -> None:
    for _ in range(3):
        with pytest.raises(Refused, match=sentence) as refused:
            await publish(clean_store, said(final=final, **changes), recording=recording)
        assert "\n" not in str(refused.value)
    assert await everything(clean_store) == {}
    assert (await publish(clean_store, said(final=final))).verdict is Verdict.ACCEPTED


async def test_the_longest_audio_is_the_one_that_workers_accept(clean_store: Store) -> None:
    store = limited(clean_store, max_audio_s=0.1)
    assert (await publish(store, said())).verdict is Verdict.ACCEPTED
    longer = encode(np.zeros(1_601, np.int16))
    with pytest.raises(Refused, match=r"at most 0\.1 s"):
        await publish(store, said(id="u2", audio=longer, samples=1_601))


async def test_a_text_has_a_limit_too(clean_store: Store) -> None:
    store = limited(clean_store, max_entry_bytes=10)
    with pytest.raises(Refused, match="12 bytes of text"):
        await publish(store, spoken(text="é" * 6))
    assert (await publish(store, spoken(text="é" * 5))).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": 8_000},
        {"rate": "many"},
        {"codec": "opus"},
        {"samples": 7},
        {"samples": ""},
        {"audio": b"x"},
    ],
)
async def test_a_letter_that_can_never_be_decoded_is_not_sent_again(
    clean_store: Store, changes: dict[str, Any]
) -> None:
    fields = {"session": ADA, "id": "u1", "rate": 16_000, **SOUND, **changes}
    await redis(clean_store).xadd(SHARD.dead, fields)
    before = await everything(clean_store)
    (listed,) = [letter async for letter in list_letters(clean_store)]
    letter = await find_dead_letter(clean_store, listed.entry)
    with pytest.raises(Refused, match="can only be saved or dropped"):
        await send_again(clean_store, letter)
    assert await everything(clean_store) == before


async def test_sound_letters_are_sent_again(clean_store: Store) -> None:
    fields = {"session": ADA, "id": "u1", "rate": 16_000, **SOUND}
    await redis(clean_store).xadd(SHARD.dead, fields)
    await redis(clean_store).xadd(SHARD.dead, {"session": ADA, "id": "u2", "text": "hello"})
    async for listed in list_letters(clean_store):
        letter = await find_dead_letter(clean_store, listed.entry)
        sent = await send_again(clean_store, letter)
        assert sent is not None
        assert sent.verdict is Verdict.ACCEPTED
