"""A headless Chromium."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from playwright.sync_api import BrowserContext, sync_playwright

SWITCHES: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(*switches: str, **options: Any) -> Iterator[BrowserContext]:
    """A browser with a fresh profile; `options` are those of a Playwright context."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "the browser tests need chromium: apt-get install chromium"
    with tempfile.TemporaryDirectory(prefix="earshot-chromium-") as profile, sync_playwright() as p:
        context = p.chromium.launch_persistent_context(
            profile,
            executable_path=found,
            headless=True,
            args=[*SWITCHES, *switches],
            **options,
        )
        try:
            yield context
        finally:
            context.close()
