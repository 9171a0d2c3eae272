"""The live line says what it is about, and lets only what matters above it."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from rich.console import Console

from common.settings import LogSettings
from ops.cli.terminal import live_line
from ops.cli.terminal.live_line import ListenState, render
from ops.cli.terminal.meter import WIDTH, draw_meter
from tests.support.environments import restored_logging

QUIET = ListenState(-50.0, None, 3, 2, is_muted=False, has_keys=False)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (QUIET, ["listening", "sent 3", "waiting 2", "-50 dB"]),
        (
            ListenState(-20.0, 2.44, 0, 0, is_muted=False, has_keys=True),
            ["speaking  2.4s", "m: mute"],
        ),
        (ListenState(-96.0, None, 0, 0, is_muted=True, has_keys=True), ["muted", "m: unmute"]),
    ],
)
def test_the_line_says(state: ListenState, words: list[str]) -> None:
    text = render(state).plain
    assert all(word in text for word in words), text


def test_the_line_says_what_keeps_it_from_hearing_or_sending() -> None:
    assert "no microphone" in render(replace(QUIET, trouble="no microphone")).plain


def test_in_a_narrow_terminal_the_words_stay_and_the_bar_gives_way() -> None:
    assert len(render(QUIET, 40).plain) <= 40
    assert "waiting 2" in render(QUIET, 40).plain
    assert draw_meter(-50.0).plain in render(QUIET, 80).plain


def test_without_a_keyboard_no_key_is_offered() -> None:
    assert "mute" not in render(QUIET).plain


@pytest.mark.parametrize(
    ("level", "filled"), [(-96.0, 0), (-60.0, 0), (-30.0, WIDTH // 2), (0.0, WIDTH), (9.0, WIDTH)]
)
def test_the_meter_is_as_long_as_it_is_loud(level: float, filled: int) -> None:
    assert draw_meter(level).plain.count("█") == filled


def test_warnings_and_notices_stand_above_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(
        live_line, "Console", lambda **_: Console(file=terminal, force_terminal=True, width=100)
    )
    with restored_logging(), live_line.live_line(LogSettings(), lambda: QUIET):
        log = structlog.get_logger()
        log.info("utterance_sent")
        log.info("Skipped short segment (0.39s < 0.5s)")
        log.warning("microphone_lost")
        log.info("microphone_back")
    shown_text = terminal.getvalue()
    assert "listening" in shown_text
    assert "Skipped short segment" in shown_text
    assert "microphone_lost" in shown_text
    assert "microphone_back" in shown_text, "what was said to be bad is said to be over"
    assert "utterance_sent" not in shown_text


def test_a_file_is_no_terminal_whatever_the_colours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr(sys, "stderr", log)
        assert not live_line.is_live_terminal(LogSettings())
