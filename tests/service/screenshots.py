"""Pictures of the pages for the documents: `python -m tests.service.screenshots URL FOLDER FILE...`.

`URL` is a running service; each `FILE` is shown verified, as `web-STEM.png`. With an administrator's key in
standard input the operators' page is shown as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from tests.service.browser import Tab, browsing, tab

COLORS = 192
"""Enough for a page; a third of the size of all of them."""
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}


def shoot(shown: Tab, path: Path, *, whole: bool = False) -> None:
    """Write what the tab shows, with few colors."""
    shown.page.mouse.move(0, 0)
    shown.page.screenshot(path=path, full_page=whole)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path} {path.stat().st_size // 1000} kB")


def main(url: str, folder: Path, files: list[Path], key: str) -> None:
    """Write every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with browsing() as browser:
        with tab(browser, url) as shown:
            shoot(shown, folder / "web-start.png")
        for path in files:
            with tab(browser, url) as shown:
                shown.verify(path)
                shoot(shown, folder / f"web-{path.stem}.png", whole=True)
        with tab(browser, url) as shown:
            shown.verify(*files)
            shown.page.locator(".card > summary").first.click()
            shoot(shown, folder / "web-many.png", whole=True)
        with tab(browser, url, color_scheme="dark") as shown:
            shown.verify(files[0])
            shoot(shown, folder / "web-dark.png")
        with tab(browser, url, **PHONE) as shown:
            shown.verify(files[0])
            shoot(shown, folder / "web-phone.png")
        if key:
            _operators(browser, url, folder, key)


def _operators(browser: Browser, url: str, folder: Path, key: str) -> None:
    with tab(browser, f"{url}/operators") as shown:
        shown.page.fill("#key", key)
        shown.page.keyboard.press("Enter")
        for name in ("Queue", "Decisions", "Appeals", "Marks"):
            shown.page.get_by_role("tab", name=name).click()
            shown.page.get_by_role("tabpanel", name=name).locator("td").first.wait_for()
            shoot(shown, folder / f"web-operators-{name.lower()}.png")


if __name__ == "__main__":
    secret = "" if sys.stdin.isatty() else sys.stdin.read().strip()
    main(sys.argv[1], Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]], secret)
