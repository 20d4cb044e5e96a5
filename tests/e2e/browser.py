"""Chromium as the machine has it, driven by Playwright; nothing is downloaded."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NO_CHROMIUM = (
    f"There is no browser on this machine: none of {', '.join(NAMES)} on PATH. "
    "Install one, for instance: apt-get install chromium"
)


def find_chromium() -> str:
    """Return where the machine's Chromium is; without one, the test does not run outside CI.

    Raises:
        RuntimeError: there is none, and in CI nothing is left out.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return found
    if os.environ.get("CI"):
        raise RuntimeError(NO_CHROMIUM)
    pytest.skip(NO_CHROMIUM)


@asynccontextmanager
async def open_page(profile: Path) -> AsyncIterator[Page]:
    """Open a browser with a new profile in a folder; yield its one page."""
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=find_chromium(),
            headless=True,
            args=list(FLAGS),
            viewport={"width": 900, "height": 600},
        )
        try:
            yield context.pages[0]
        finally:
            await context.close()
