"""The settings tree: command line over environment over `earshot.toml` over these defaults.

Environment names are `EARSHOT_SECTION__NAME` (top level: `EARSHOT_NAME`); each may be given as
`..._FILE` instead, naming a file that holds the value. Units stand in the names (`_s` seconds,
`_ms` milliseconds); each description says why the default is what it is.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from common.setting_files import EnvironmentSource, FileSettingsSource
from common.utterance import LANGUAGE, NAME, Codec

PREFIX: Final = "EARSHOT_"

# Upper bounds that no honest value reaches: behind them numbers no longer fit Redis' own.
Finite = Annotated[float, Field(ge=-1e9, le=1e9)]
Seconds = Annotated[float, Field(gt=0, le=1e9)]
Count = Annotated[int, Field(ge=1, le=10**12)]
Port = Annotated[int, Field(ge=0, le=65_535)]


def _webrtc_frame(frame_ms: int) -> int:
    if frame_ms not in {10, 20, 30}:
        raise ValueError("webrtcvad takes frames of 10, 20 or 30 ms")
    return frame_ms


def _on_or_off(value: object) -> object:
    """Booleans, and the words that pydantic takes for them, beside `auto`."""
    shown = str(value).strip().lower()
    if shown in {"1", "true", "yes"}:
        return "on"
    return "off" if shown in {"0", "false", "no"} else shown


class _Section(BaseModel):
    # a misspelt name must not be silently without effect
    model_config = ConfigDict(extra="forbid", frozen=True)


class RedisSettings(_Section):
    """Where Redis is."""

    url: Annotated[str, Field(min_length=1)] = Field(
        "redis://127.0.0.1:6379/0",
        description="redis://, rediss://, unix://, redis+sentinel://h1,h2/SERVICE/DB or"
        " redis+cluster://h1,h2. The default is a server on this machine.",
    )
    username: str = Field("", description="ACL user, if it is not part of the URL.")
    password: SecretStr = Field(
        SecretStr(""), description="Password, if it is not part of the URL."
    )
    ca_file: str = Field("", description="CA certificate for rediss://; empty: the system's.")
    cert_file: str = Field("", description="Client certificate for rediss://.")
    key_file: str = Field("", description="Key of the client certificate.")


class LimitSettings(_Section):
    """What bounds everything that earshot keeps in Redis."""

    session_ttl_s: Seconds = Field(
        86_400, description="A quiet session is forgotten after this long: a day, as results are."
    )
    seen_ttl_s: Seconds = Field(
        8 * 86_400,
        description="How long a repeated publish is recognised: must outlive the outbox's max_age.",
    )
    max_backlog: Count = Field(
        1_000,
        description="Utterances of a shard that may wait for STT before producers keep new ones"
        " in their outboxes: about an hour of work for one worker on a CPU.",
    )
    max_unanswered: Count = Field(
        100, description="The same for the unanswered turns of one session."
    )
    max_entry_bytes: Count = Field(
        4 * 2**20, description="Audio of one entry: 30 s of 48 kHz PCM take under 3 MiB."
    )
    max_audio_s: Seconds = Field(
        120, description="Decoded length of one entry: the longest utterance is 30 s by default."
    )
    turn_timeout_s: Seconds = Field(
        30, description="An eager turn whose producer falls silent ends after this long."
    )
    tend_after_s: Seconds = Field(
        15,
        description="An unfinished session is looked after this often: rarer than any stage"
        " takes when all is well.",
    )
    results_age_s: Seconds = Field(
        86_400, description="Results stay this long, so that a late dashboard sees the last day."
    )
    results_max: Count = Field(
        1_000_000, description="And no more than this many per shard: about 1 GB."
    )
    deltas: bool = Field(True, description="Whether replies in the making are published.")
    deltas_age_s: Seconds = Field(
        600, description="Deltas stay this long; the whole reply is in the results."
    )
    deltas_max: Count = Field(100_000, description="And no more than this many per shard.")
    dead_max: Count = Field(
        10_000, description="Dead letters per shard; the oldest are dropped, and said so."
    )


class WorkerSettings(_Section):
    """The consumer loop that STT and LLM workers share."""

    claim_idle_s: Seconds = Field(
        10, description="Work of a worker that shows no sign of life passes on after this long."
    )
    drain_timeout_s: Seconds = Field(
        20, description="How long SIGTERM lets work in hand finish before it is handed back."
    )
    max_deliveries: Count = Field(
        5, description="An entry that failed this often without a known cause is buried."
    )
    backoff_max_s: Seconds = Field(
        15, description="Longest pause between two tries at a server that is away."
    )


class SttSettings(_Section):
    """Speech to text with faster-whisper."""

    model: Annotated[str, Field(min_length=1)] = Field(
        "small.en",
        description="A model name that faster-whisper fetches on first use, a folder, or `demo`"
        " (the small bundled model: it knows the demo's sentences only). small.en is the largest"
        " that keeps up with one speaker on two CPU cores.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA where it is.")
    compute_type: str = Field(
        "default", description="CTranslate2's: int8 on a CPU and float16 on CUDA by default."
    )
    language: str = Field("", description="Language code; empty: the model finds out.")
    beam_size: Count = Field(5, description="faster-whisper's own default; 1 is faster.")
    cpu_threads: Annotated[int, Field(ge=0, le=1_024)] = Field(
        0, description="0: CTranslate2 decides."
    )
    models_dir: str = Field("", description="Where fetched models are kept; empty: the HF cache.")
    no_speech_threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        0.6, description="Whisper's: above it, and with a low average log probability, it is noise."
    )
    log_prob_threshold: Finite = Field(-1.0, description="Whisper's: the other half of that rule.")
    concurrency: Count = Field(
        1, description="Utterances at once per process: more processes scale better than this."
    )


class LlmSettings(_Section):
    """The OpenAI-compatible server, and how it is asked."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] = Field(
        "http://127.0.0.1:8000/v1", description="vLLM's default address on this machine."
    )
    model: str = Field(
        "", description="The served name; empty: the only model that the server lists."
    )
    api_key: SecretStr = Field(SecretStr(""), description="Sent as a bearer token if set.")
    system_prompt: str = Field(
        "You are a helpful voice assistant. Your replies are read aloud: answer in one to three"
        " short sentences, without lists, headings or emoji.",
        description="Opens every request.",
    )
    rounds: Annotated[int, Field(ge=0, le=1_000)] = Field(
        5, description="Earlier questions with their answers that the model is shown."
    )
    tokens_per_word: Annotated[float, Field(gt=0, le=1_000)] = Field(
        5, description="max_tokens = clamp(tokens_per_word x words, min_tokens, max_tokens)."
    )
    min_tokens: Count = Field(64, description="See tokens_per_word: a short question's answer.")
    max_tokens: Count = Field(256, description="See tokens_per_word: about a minute read aloud.")
    temperature: Annotated[float, Field(ge=0, le=2)] = Field(0.7, description="Sampling.")
    concurrency: Count = Field(
        64, description="Sessions answered at once per process: vLLM batches them."
    )
    max_merge: Count = Field(
        4, description="Turns that wait together are answered as one, at most this many."
    )
    max_answer_age_s: Annotated[float, Field(ge=0, le=1e9)] = Field(
        0, description="Turns older than this are skipped as expired; 0: never."
    )
    delta_interval_ms: Annotated[int, Field(ge=0, le=60_000)] = Field(
        150, description="Pieces of a reply are gathered this long: below it nobody sees a jump."
    )
    connect_timeout_s: Seconds = Field(5, description="To reach the server.")
    first_token_timeout_s: Seconds = Field(
        60, description="Until the first token: a loaded server queues requests."
    )
    token_timeout_s: Seconds = Field(15, description="Between two tokens: then it hangs.")

    def clamp_tokens(self, words: int) -> int:
        """The reply's length limit: clamp(tokens_per_word x words, min_tokens, max_tokens)."""
        return max(self.min_tokens, min(round(self.tokens_per_word * words), self.max_tokens))


class ListenSettings(_Section):
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
        0.3, description="Silence kept after the last voiced frame."
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
        "", description="Hint for the LLM worker."
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
    outbox: str = Field(
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


class LogSettings(_Section):
    """Logs go to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level.")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: JSON when stderr is not a terminal."
    )


class Settings(BaseSettings):
    """All of it. `earshot config` prints the effective values and where each came from."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        toml_file="earshot.toml",
        nested_model_default_partial_update=True,
    )

    shards: Annotated[int, Field(ge=1, le=16_384)] = Field(
        1, description="Shards of the sessions: 1 is enough for one Redis server."
    )
    redis: RedisSettings = RedisSettings()
    limits: LimitSettings = LimitSettings()
    worker: WorkerSettings = WorkerSettings()
    stt: SttSettings = SttSettings()
    llm: LlmSettings = LlmSettings()
    listen: ListenSettings = ListenSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, files named by the environment, `earshot.toml`."""
        return (
            init_settings,
            EnvironmentSource(settings_cls),
            FileSettingsSource(settings_cls, PREFIX),
            TomlConfigSettingsSource(settings_cls),
        )
