"""Makes the pictures of docs/images anew: `python -m tests.browser.screenshots`.

Everything in them is real: the bundled recording through the real pipeline, with the stand-in LLM.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from playwright.sync_api import Page, ViewportSize

from ops.demo.recording_file import AUDIO
from tests.browser.chromium import chromium
from tests.support.dashboard_process import DashboardProcess
from tests.support.fake_pipeline import SHARD
from tests.support.pipeline import Pipeline, running_pipeline
from tests.support.repository import ROOT

IMAGES: Final = ROOT / "docs" / "images"
DESKTOP: Final = ViewportSize(width=1180, height=760)
PHONE: Final = ViewportSize(width=390, height=780)
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
PHONES: Final[tuple[tuple[Literal["light", "dark"], str, str], ...]] = (
    ("light", "conversations", "conversations/kitchen"),
    ("dark", "sessions", "conversations"),
    ("dark", "send", "send"),
)
QUESTIONS: Final = (
    ("office", "What time is it?"),
    ("hall", "Tell me a joke about <b>bold</b> letters."),
    ("workshop", "My name is Ada."),
    ("workshop", "What is my name?"),
    ("garden", "Thank you."),
)


def _fill(parts: Pipeline) -> None:
    for session, question in QUESTIONS:
        assert parts.run("say", question, "--session", session).returncode == 0
    done = parts.run("listen", "--input", str(AUDIO), "--realtime", "--session", "kitchen")
    assert done.returncode == 0, done.stderr
    parts.wait_for_endings("kitchen", 9)
    with parts.redis.sync_client() as client:  # an entry that no worker can read
        client.xadd(
            SHARD.utterances,
            {"v": "1", "id": "x", "session": "barn", "turn": "1", "codec": "flac", "rate": "16000",
             "samples": "16000", "audio": b"no audio", "speech_ms": "900", "source": "barn.wav"},
        )  # fmt: skip


def _show(page: Page, url: str, view: str) -> None:
    page.goto("about:blank")
    page.goto(f"{url}#/{view}")
    page.wait_for_timeout(2_500)


def main() -> None:
    """Write them all."""
    IMAGES.mkdir(exist_ok=True)
    with (
        TemporaryDirectory() as folder,
        running_pipeline(Path(folder), stt=2, llm=1) as parts,
        DashboardProcess(Path(folder), parts.redis.url, {}) as dashboard,
        chromium() as browser,
    ):
        _fill(parts)
        page = browser.new_page()
        page.set_viewport_size(DESKTOP)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            for name, view in (
                ("conversations", "conversations/kitchen"),
                ("pipeline", "pipeline"),
                ("dead-letters", "dead"),
            ):
                _show(page, dashboard.url, view)
                if name == "conversations":
                    page.locator(".opener").nth(2).click()
                    page.locator(".opener").nth(2).scroll_into_view_if_needed()
                page.screenshot(path=IMAGES / f"{name}-{scheme}.png")
        page.set_viewport_size(PHONE)
        for scheme, name, view in PHONES:
            page.emulate_media(color_scheme=scheme)
            _show(page, dashboard.url, view)
            page.screenshot(path=IMAGES / f"phone-{name}-{scheme}.png")


if __name__ == "__main__":
    main()
