"""What is spoken into the browser, and a recording that is sent from it, go the whole way: through
detector, segmenter and outbox to the real faster-whisper, and come back as turns on the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Page, expect

from ops.demo.recording_file import AUDIO, normalise, read_sentences
from tests.support.dashboard_process import DashboardProcess
from tests.support.pipeline import Pipeline, running_pipeline


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("pipeline")) as parts:
        yield parts


@pytest.fixture(scope="module")
def dashboard(
    parts: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DashboardProcess]:
    folder = tmp_path_factory.mktemp("dashboard")
    with DashboardProcess(folder, parts.redis.url, {}) as dashboard:
        yield dashboard


def test_a_sentence_spoken_into_the_browser_is_answered(
    page: Page, dashboard: DashboardProcess
) -> None:
    page.goto(f"{dashboard.url}#/send")
    page.get_by_role("button", name="Speak").click()
    turn = page.locator("#send .turn").first
    expect(turn.locator(".said .text")).not_to_have_text("…")
    said = turn.locator(".said .text").text_content()
    assert normalise(said or "") == normalise(read_sentences()[0].text)
    expect(turn.locator(".replied:not(.pending)")).to_be_visible()
    expect(page.locator("#mic-on")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#send [role=status]")).to_contain_text("Stopped")
    expect(page.locator("#mic-on")).to_be_hidden()
    turn.locator(".opener").click()
    phases = turn.locator(".phases th")
    expect(phases).to_have_text(
        ["silence", "queue for speech to text", "speech to text", "queue for the answer",
         "first token", "rest of the reply"]
    )  # fmt: skip
    expect(turn.locator(".facts")).to_contain_text("stt-")


def test_a_recording_is_sent_and_watched(
    page: Page, dashboard: DashboardProcess, tmp_path: Path
) -> None:
    audio, rate = soundfile.read(AUDIO, dtype="int16")
    recording = tmp_path / "two sentences & more.wav"
    first, second, third = read_sentences()[:3]
    soundfile.write(recording, audio[: round((second.end_s + third.start_s) / 2 * rate)], rate)
    page.goto(f"{dashboard.url}#/send")
    page.set_input_files("input[type=file]", recording)
    said = page.locator("#send .turn .said .text")
    expect(said).to_have_count(2)
    for place, sentence in enumerate((first, second)):
        expect(said.nth(place)).to_have_text(sentence.text)
    page.locator("#send .opener").first.click()
    expect(page.locator("#send .facts")).to_contain_text(recording.name)


def test_what_is_no_audio_is_refused_with_a_sentence(
    page: Page, dashboard: DashboardProcess, tmp_path: Path
) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("no audio at all")
    page.goto(f"{dashboard.url}#/send")
    page.set_input_files("input[type=file]", text)
    status = page.locator("#send [role=status]")
    expect(status).to_contain_text("notes.wav is no audio that can be read here")
    expect(status).not_to_contain_text("/tmp")
