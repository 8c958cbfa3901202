"""A real Chromium for the tests of the pages, and what they look for in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ANSWER_MS = 90_000
"""An upload is examined while other tests use the machine too."""


def chromium() -> Path | None:
    """The browser of this machine."""
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser for the length of a `with` block; skips the test where there is none."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """One page and everything that went wrong in it."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("console", lambda message: self._note(message.type, message.text))

    def _note(self, kind: str, text: str) -> None:
        # A refused upload is shown on the page; that the browser logs its status as well is not our doing.
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self.complaints.append(f"{kind}: {text}")

    def verify(self, *files: Path) -> list[str]:
        """Give files to the verify page and wait for every answer; the verdicts as the page words them."""
        before = self.page.locator(".card .badge").count()
        self.page.set_input_files("#file", [str(path) for path in files])
        last = self.page.locator(".card .badge").nth(before + len(files) - 1)
        last.wait_for(state="attached", timeout=ANSWER_MS)
        return [text.strip() for text in self.page.locator(".card .badge").all_inner_texts()]

    def faults(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 AA and its best practices, one line each."""
        found: dict[str, Any] = Axe().run(self.page).response
        return [
            f"{fault['id']}: {node['target']} {node['failureSummary']}"
            for fault in found["violations"]
            for node in fault["nodes"]
        ]


@contextmanager
def tab(browser: Browser, url: str, **options: Any) -> Iterator[Tab]:
    """A page at `url`, in a profile of its own."""
    usual = {"viewport": {"width": 1180, "height": 900}, "locale": "en-GB", "reduced_motion": "reduce"}
    context = browser.new_context(**(usual | options))  # contrast is measured on colours at rest
    try:
        opened = Tab(context.new_page(), url)
        opened.page.goto(url, wait_until="networkidle")
        yield opened
    finally:
        context.close()
