"""Wrong use of a command is told in one sentence and ends with status 2."""

from pathlib import Path

import pytest

from tests.support.command_line import InProcessCommand


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["listen", "--nosuch"], "No such option '--nosuch'"),
        (["tail", "extra"], "unexpected extra argument"),
        (["dead"], "Usage: earshot dead"),
        (["dead", "show"], "Missing argument 'LETTER'"),
        (["dead", "replay"], "name the dead letters, or use --all"),
        (["dead", "replay", "1-1", "--all"], "name the dead letters, or use --all"),
        (["dead", "drop", "--reason", "x", "1-1"], "--reason works only together with --all"),
        (["say"], "Missing argument 'TEXT'"),
        (["say", ""], "there is nothing to say"),
        (["say", " \n"], "there is nothing to say"),
        (["say", "\udcff"], "not UTF-8"),
        (["say", "hi", "--session", "a b"], "session id 'a b' is not usable"),
        (["say", "hi", "--persona", "a\nb"], "listen.persona (EARSHOT_LISTEN__PERSONA)"),
        (["tail", "--session", "{0}"], "session id '{0}' is not usable"),
        (["tail", "--since", "yesterday"], "none of: now, all, or an age"),
        (["export", "--since", "now"], "'now' is none of: all, or an age"),
        (["tail", "--since", "-5m"], "none of: now, all, or an age"),
        (["tail", "--log-level", "loud"], "EARSHOT_LOG__LEVEL"),
        (["status", "--redis-url", "http://h"], "starts with one of redis://"),
        (["stt", "--beam-size", "many"], "EARSHOT_STT__BEAM_SIZE"),
        (["stt", "--device", "tpu"], "'auto', 'cpu' or 'cuda'"),
        (["llm", "--rounds", "-1"], "EARSHOT_LLM__ROUNDS"),
        (["llm", "--base-url", "localhost:8000"], "EARSHOT_LLM__BASE_URL"),
        (["listen", "--realtime"], "--realtime works only together with --input"),
        (["tail", "--deltas"], "--deltas works only together with --json"),
        (["devices", "--seconds", "1"], "--seconds and --device work only together with --level"),
        (["devices", "--device", "1"], "--seconds and --device work only together with --level"),
        (["bench", "llm", "--seconds", "0"], "is not in the range x>=1"),
        (["bench", "llm", "--tokens-per-s", "0"], "is not in the range x>=1"),
        (["bench", "recording", "--sentence-every", "1"], "is not in the range x>=5"),
        (["bench", "recording", "--live-every", "0"], "is not in the range x>0"),
        (["bench", "chaos", "--seconds", "-5"], "is not in the range x>=1"),
        (["bench", "chaos", "--folder", "/proc/x"], "/proc/x cannot be used"),
        (["up", "--stt", "-1"], "-1 is not in the range x>=0"),
        (["transcribe", "a.wav", "-o", "./a.wav", "--overwrite"], "a.wav is one of the recordings"),
        (["transcribe", "a.wav", "b.txt", "--overwrite"], "b.txt is one of the recordings"),
        (["transcribe", "a.wav", "-o", "nowhere/a.txt"], "there is no folder nowhere"),
        (["listen", "--preset", "shout"], "'command', 'conversation' or 'dictation'"),
        (["listen", "--frame-ms", "25"], "10, 20 or 30 ms"),
        (["listen", "--max-utterance", "300"], "EARSHOT_LIMITS__MAX_AUDIO_S"),
        (["listen", "--language", "klingon"], "EARSHOT_LISTEN__LANGUAGE"),
        (["say", "hi", "--redis-url", "redis://:hunter2@h:x"], "a port is not a number"),
    ],
)
def test_wrong_use_is_told_and_ends_with_2(
    arguments: list[str], said: str, run: InProcessCommand
) -> None:
    status, _, told = run(*arguments)
    assert status == 2
    assert said in told
    assert "Traceback" not in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input", "nothing.wav"], "there is no file nothing.wav"),
        (["--input", "."], "is a folder"),
        (["--input", "text.wav"], "is no audio"),
        (["--input", "empty.wav"], "is empty"),
    ],
)
def test_what_is_no_recording_is_told(
    arguments: list[str], said: str, run: InProcessCommand
) -> None:
    Path("text.wav").write_text("This is no audio.\n" * 100)
    Path("empty.wav").touch()
    status, _, told = run("listen", "--outbox", "outbox", *arguments)
    assert status == 2
    assert f"earshot: {arguments[1]}" in told or "earshot: there is no file" in told
    assert said in told
