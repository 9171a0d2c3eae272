"""Events of every kind, with whatever may stand in them."""

from typing import Any

from hypothesis import strategies as st

from common.events import (
    DeltaData,
    Error,
    ErrorData,
    Event,
    Heard,
    HeardData,
    Reply,
    ReplyData,
    ReplyDelta,
    Skipped,
    SkippedData,
    Timings,
    Transcript,
    TranscriptData,
    Usage,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
numbers = st.integers(-(2**53), 2**53)
counts = st.integers(0, 2**53)
reals = st.floats(allow_nan=False, allow_infinity=False)
maybe_reals = st.none() | reals
timings = st.builds(Timings, **dict.fromkeys(Timings.model_fields, maybe_reals))

datas: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "heard": (
        Heard,
        st.builds(HeardData, spoken_at=reals, speech_ms=counts, source=texts, replay_of=texts),
    ),
    "transcript": (
        Transcript,
        st.builds(
            TranscriptData,
            text=texts,
            timings=timings,
            language=texts,
            language_probability=maybe_reals,
            avg_logprob=maybe_reals,
            no_speech_prob=maybe_reals,
            audio_ms=st.none() | counts,
            model=texts,
            worker=texts,
        ),
    ),
    "skipped": (
        Skipped,
        st.builds(
            SkippedData,
            reason=st.sampled_from(["noise", "too_short", "merged", "transcript_only", "expired"]),
            into=st.none() | counts,
            detail=st.none() | st.dictionaries(texts, texts | numbers | st.booleans(), max_size=3),
        ),
    ),
    "reply": (
        Reply,
        st.builds(
            ReplyData,
            text=texts,
            model=texts,
            usage=st.none() | st.builds(Usage, prompt_tokens=counts, total_tokens=counts),
            finish_reason=texts,
            interrupted=st.booleans(),
            attempt=counts,
            timings=timings,
        ),
    ),
    "error": (
        Error,
        st.builds(ErrorData, stage=texts, reason=texts, error=texts, deliveries=counts),
    ),
    "reply.delta": (
        ReplyDelta,
        st.builds(DeltaData, attempt=counts, index=counts, text=texts),
    ),
}


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(sorted(datas)))
    model, data = datas[kind]
    event: Event = draw(
        st.builds(
            model,
            type=st.just(kind),
            v=st.just(1),
            session=texts,
            epoch=counts,
            turn=counts,
            id=texts,
            at=counts,
            data=data,
        )
    )
    return event
