"""The producer: microphone, detector, segmenter, outbox."""

from pathlib import Path
from typing import Annotated, Final, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, BeforeValidator, Field

from common.settings.sections.fields import HostPath, Seconds, Section
from common.utterance import LANGUAGE, NAME, Codec

FRAME_MS: Final = (10, 20, 30)


def _webrtc_frame(frame_ms: int) -> int:
    if frame_ms not in FRAME_MS:
        raise ValueError("webrtcvad takes frames of 10, 20 or 30 ms")
    return frame_ms


def _on_or_off(value: object) -> object:
    """Booleans, and the words that pydantic takes for them, beside `auto`."""
    shown = str(value).strip().lower()
    if shown in {"1", "true", "yes"}:
        return "on"
    return "off" if shown in {"0", "false", "no"} else shown


class ListenSettings(Section):
    """The producer: microphone, detector, segmenter, outbox."""

    session: str = Field("", description="Session id; empty: host name and device.")
    device: str = Field("", description="Input device: index or part of its name; empty: default.")
    preset: Literal["command", "conversation", "dictation"] = Field(
        "conversation", description="Silence and minimum speech: 0.6/0.3, 1.0/0.5, 2.0/1.0 s."
    )
    silence_s: Seconds | None = Field(None, description="Silence that ends an utterance.")
    min_speech_s: Seconds | None = Field(None, description="Shorter ones are skipped.")
    pre_roll_s: Annotated[float, Field(ge=0, le=5)] = Field(
        0.3, description="Audio kept from before the first voiced frame: no clipped first sound."
    )
    tail_s: Annotated[float, Field(ge=0, le=5)] = Field(
        0.3,
        description="Silence kept after the last voiced frame. A draft (`eager`) is made when it"
        " holds that much, but for 0.05 s.",
    )
    max_utterance_s: Annotated[float, Field(ge=2, le=600)] = Field(
        30, description="Whisper's window; longer speech is cut at its quietest place."
    )
    vad: Literal["webrtc", "silero", "cascade"] = Field(
        "cascade",
        description="What tells speech from noise: webrtc (cheapest, takes loud noise for speech),"
        " silero (a small neural network), cascade (silero, asked only where webrtc hears"
        " something). The default heard best for its CPU time: docs/hearing.md.",
    )
    vad_mode: Annotated[int, Field(ge=0, le=3)] = Field(
        2, description="webrtcvad's aggressiveness: 0 hears most, 3 least."
    )
    frame_ms: Annotated[int, AfterValidator(_webrtc_frame)] = Field(
        30, description="webrtcvad's frame."
    )
    push_to_talk: bool = Field(
        False, description="Start muted: m or space in the terminal, or SIGUSR1, lets it hear."
    )
    codec: Codec = Field("flac", description="flac halves the traffic and loses nothing.")
    language: Annotated[str, Field(max_length=16, pattern=LANGUAGE)] = Field(
        "", description="Hint for STT: a language code such as en."
    )
    persona: Annotated[str, Field(max_length=64, pattern=NAME)] = Field(
        "",
        description="Who answers: the name of a persona that the LLM workers know, such as"
        " tour-guide; empty: their default.",
    )
    interrupt: Literal["auto", "off", "new_turn"] = Field(
        "auto",
        description="Whether newer speech stops the reply to older speech; auto: for live"
        " microphones, where the speaker has heard enough.",
    )
    eager: Annotated[Literal["auto", "on", "off"], BeforeValidator(_on_or_off)] = Field(
        "auto",
        description="Whether STT begins at a short pause, before the silence that ends an utterance"
        " is over; auto: for microphones and --realtime, not for files and pipes at full speed,"
        " where nobody waits.",
    )
    eager_pause_s: Seconds = Field(
        0.25,
        description="The first such pause: longer than stop consonants and most gaps between"
        " words, and it leaves three quarters of the silence to STT.",
    )
    eager_max: Annotated[int, Field(ge=1, le=100)] = Field(
        3,
        description="Such pauses in one utterance, each 1.6 times as long as the one before: who"
        " speaks slowly must not multiply the work of STT.",
    )
    eager_backlog: Annotated[int, Field(ge=0, le=10**12)] = Field(
        4,
        description="While more utterances than this wait for an STT worker, nothing is sent"
        " early: all workers are busy then, and it would only add to their work.",
    )
    outbox: HostPath = Field(
        "", description="Folder for utterances that wait for Redis; empty: the user's data folder."
    )
    outbox_max_mb: Annotated[float, Field(gt=0, le=1e9)] = Field(
        512, description="Size limit of the outbox: about 7 hours of speech; the oldest go first."
    )
    outbox_max_age_s: Seconds = Field(
        7 * 86_400, description="Age limit of what waits in the outbox."
    )

    def outbox_folder(self) -> Path:
        return Path(self.outbox) if self.outbox else user_data_path("earshot") / "outbox"
