"""Logs go to stderr: JSON for machines with what was bound on every line, text for people."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from common.settings import LogSettings
from common.telemetry import logs
from tests.support.environments import restored_logging


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored_logging():
        yield


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == "", "stdout belongs to the command"
    return captured.err.splitlines()


def test_json_lines_bear_what_was_bound(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogSettings(format="json"), worker="stt-1", role="stt")
    structlog.get_logger("x").info("utterance_sent", session="s1", turn=3, text="Grüße")
    (line,) = _lines(capsys)
    told = json.loads(line)
    assert told["event"] == "utterance_sent"
    assert (told["worker"], told["role"], told["session"], told["turn"]) == (
        "stt-1",
        "stt",
        "s1",
        3,
    )
    assert told["level"] == "info"
    assert told["timestamp"].endswith("Z")
    assert "Grüße" in line


def test_without_a_terminal_auto_means_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogSettings())
    structlog.get_logger("x").warning("redis_is_away")
    assert json.loads(_lines(capsys)[0])["event"] == "redis_is_away"


def test_for_people_it_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogSettings(format="console"), worker="stt-1")
    structlog.get_logger("x").info("ready", session="s1")
    (line,) = _lines(capsys)
    assert not line.startswith("{")
    assert "ready" in line
    assert "session=s1" in line
    assert "\x1b" not in line, "no colours where there is no terminal"


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogSettings(level="warning", format="json"))
    log = structlog.get_logger("x")
    log.info("left out")
    log.warning("told")
    assert [json.loads(line)["event"] for line in _lines(capsys)] == ["told"]


def test_a_new_set_up_forgets_what_was_bound(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogSettings(format="json"), worker="one")
    logs.set_up(LogSettings(format="json"), role="two")
    structlog.get_logger("x").info("ready")
    told = json.loads(_lines(capsys)[0])
    assert "worker" not in told
    assert told["role"] == "two"


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogSettings(format="json"))
    try:
        raise ValueError("a bug\nin two lines")
    except ValueError:
        structlog.get_logger("x").exception("handler_failed")
    (line,) = _lines(capsys)
    assert json.loads(line)["exception"][0]["exc_type"] == "ValueError"


@pytest.mark.parametrize("level", ["debug", "info"])
def test_libraries_are_heard_from_warning_on(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(LogSettings.model_validate({"level": level}))
    logging.getLogger("httpx").info("GET /v1/models")
    logging.getLogger("httpx").warning("a library complains")
    (line,) = _lines(capsys)
    assert "a library complains" in line


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """They may be audio, what somebody said, or a key."""
    logs.set_up(LogSettings(format=form))
    said = "my card number"
    try:
        raise RuntimeError(f"a bug in {len(said)} characters")
    except RuntimeError:
        structlog.get_logger("x").exception("handler_failed")
    told = capsys.readouterr().err
    assert "a bug in 14 characters" in told
    assert "test_logs.py" in told, "where it was"
    assert "my card number" not in told.replace('said = "my card number"', "")


def test_what_a_library_logs_is_a_line_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogSettings(format="json"), role="dashboard")
    try:
        raise ValueError("a bug\nin two lines")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in %s", "ASGI application")
    (line,) = _lines(capsys)
    told = json.loads(line)
    assert (told["event"], told["level"]) == ("Exception in ASGI application", "error")
    assert (told["logger"], told["role"]) == ("uvicorn.error", "dashboard")
    assert told["exception"][0]["exc_type"] == "ValueError"
