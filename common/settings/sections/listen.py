"""The producer: microphone, detector, segmenter, outbox."""

from pathlib import Path
from typing import Annotated, Final, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, BeforeValidator, Field

from common.languages.codes import Language
from common.settings.sections.fields import HostPath, Seconds, Section
from common.utterance import NAME, Codec

FRAME_MS: Final = (10, 20, 30)


def _webrtc_frame(frame_ms: int) -> int:
    if frame_ms not in FRAME_MS:
        raise ValueError("webrtcvad takes frames of 10, 20 or 30 ms")
    return frame_ms


def _on_or_off(value: object) -> object:
    """Turn a boolean, or a word that pydantic takes for one, into `on` or `off`; leave `auto`."""
    shown = str(value).strip().lower()
    if shown in {"1", "true", "yes"}:
        return "on"
    return "off" if shown in {"0", "false", "no"} else shown


class ListenSettings(Section):
    """The producer: microphone, detector, segmenter, outbox."""

    session: str = Field(
        "",
        description="Session id. Empty: made of the host name and the device"
        " (`earshot say`: and `say`).",
    )
    device: str = Field(
        "",
        description="Input device: its index, or a part of its name. Empty: the default device.",
    )
    channel: Annotated[int, Field(ge=0, le=64)] = Field(
        0,
        description="The one channel that is heard, counted from 1. 0: all of them, and what"
        " somebody says in any of them.",
    )
    preset: Literal["command", "conversation", "dictation"] = Field(
        "conversation",
        description="Silence that ends an utterance, and its least speech: command 0.6 and 0.3 s,"
        " conversation 1.0 and 0.5 s, dictation 2.0 and 1.0 s.",
    )
    silence_s: Seconds | None = Field(
        None,
        description="Silence that ends an utterance, in seconds. Not set: the preset's.",
    )
    min_speech_s: Seconds | None = Field(
        None,
        description="Least speech of an utterance, in seconds; shorter ones are skipped. Not set:"
        " the preset's.",
    )
    pre_roll_s: Annotated[float, Field(ge=0, le=5)] = Field(
        0.3,
        description="Audio that is kept from before the first voiced frame, in seconds, so that"
        " the first sound is not clipped.",
    )
    tail_s: Annotated[float, Field(ge=0, le=5)] = Field(
        0.3,
        description="Silence that is kept after the last voiced frame, in seconds. A draft waits"
        " for this silence minus 0.05 s, so keep it short if eager is on.",
    )
    max_utterance_s: Annotated[float, Field(ge=2, le=600)] = Field(
        30,
        description="Longest utterance, in seconds. Longer speech is cut at its quietest place."
        " The default is Whisper's window.",
    )
    vad: Literal["webrtc", "silero", "cascade"] = Field(
        "cascade",
        description="What distinguishes speech from noise: webrtc (cheapest; takes loud noise for"
        " speech), silero (a small neural network), cascade (silero, run only where"
        " webrtc hears something). The default hears best for its CPU time:"
        " docs/hearing.md.",
    )
    vad_mode: Annotated[int, Field(ge=0, le=3)] = Field(
        2,
        description="Aggressiveness of webrtcvad: 0 accepts most sounds as speech, 3 fewest.",
    )
    frame_ms: Annotated[int, AfterValidator(_webrtc_frame)] = Field(
        30,
        description="Length of one frame of audio, in ms: 10, 20 or 30.",
    )
    push_to_talk: bool = Field(
        False,
        description="Start muted. m or space in the terminal, or SIGUSR1, unmutes.",
    )
    codec: Codec = Field(
        "flac",
        description="How audio is sent. flac halves the traffic and loses nothing.",
    )
    language: Language = Field(
        "",
        description="Hint for STT: the language that is spoken here, as a code or a name: en,"
        " pt-BR, de_DE, German. Empty: as EARSHOT_STT__LANGUAGE says.",
    )
    persona: Annotated[str, Field(max_length=64, pattern=NAME)] = Field(
        "",
        description="Who answers: the name of a persona that the LLM workers know, such as"
        " tour-guide. Empty: their default.",
    )
    interrupt: Literal["auto", "off", "new_turn"] = Field(
        "auto",
        description="Whether newer speech stops the reply to older speech. auto: only for live"
        " microphones, because such a speaker has heard enough.",
    )
    eager: Annotated[Literal["auto", "on", "off"], BeforeValidator(_on_or_off)] = Field(
        "auto",
        description="Whether STT begins at a short pause, before the silence that ends an"
        " utterance is over. auto: for microphones and --realtime; not for files and"
        " pipes at full speed, because nobody waits there.",
    )
    eager_pause_s: Seconds = Field(
        0.25,
        description="First pause at which STT begins, in seconds. The default is longer than stop"
        " consonants and most gaps between words, and leaves three quarters of the"
        " silence to STT.",
    )
    eager_max: Annotated[int, Field(ge=1, le=100)] = Field(
        3,
        description="Most such pauses in one utterance. Each is 1.6 times as long as the one"
        " before, so that slow speech does not multiply the work of STT.",
    )
    eager_backlog: Annotated[int, Field(ge=0, le=10**12)] = Field(
        4,
        description="While more utterances than this wait for an STT worker, no drafts are sent:"
        " all workers are busy, and drafts would only add work.",
    )
    outbox: HostPath = Field(
        "",
        description="Folder for utterances that wait for Redis. Empty: in the user's data folder.",
    )
    outbox_max_mb: Annotated[float, Field(gt=0, le=1e9)] = Field(
        512,
        description="Largest outbox, in MB; beyond it the oldest utterances are dropped. The"
        " default is about 7 hours of speech. While the disk fails, memory holds 64 MB at most.",
    )
    outbox_max_age_s: Seconds = Field(
        7 * 86_400,
        description="Utterances that have waited in the outbox for more than this many seconds are"
        " dropped. Only time for which the host ran or slept is counted: the wall clock proves"
        " nothing.",
    )

    def outbox_folder(self) -> Path:
        return Path(self.outbox) if self.outbox else user_data_path("earshot") / "outbox"
