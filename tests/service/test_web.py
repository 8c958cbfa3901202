"""The verify page in a real Chromium, against the real service."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from openai import OpenAI
from openai.types import Video
from playwright.sync_api import Browser, Route

from service import keys
from service.api.page import fill
from service.errors import ConfigurationError
from service.settings import Settings
from tests.service.browser import ANSWER_MS, Tab, tab
from tests.service.server import Server
from watermark import Mark, MediaId, open_media, write_image, write_video

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")

WEB = files("service") / "web"
BUILT = ("verdict", "means", "lane", "timeline", "theme", "manifest", "tab", "column", "chip", "appeals")
"""Groups of strings whose names are put together while the page runs."""
SIGNED_BY_OTHERS = Path(__file__).parents[3] / "shared/data/c2pa/contentauth__CACAE-uri-CA.jpg"
REPORT: dict[str, Any] = {
    "verdict": "made_here",
    "media": {"mime": "video/mp4", "bytes": 1000, "width": 64, "height": 64, "seconds": 10.0},
    "watermark": {"found": True, "id": "0123456789ab", "log10_p": -20.0, "frames_read": 9},
    "c2pa": {"state": "absent"},
    "registry": {"found": False},
    "fingerprint": None,
    "explain": [],
}


@pytest.fixture
def verify(browser: Browser, server: Server) -> Iterator[Tab]:
    with tab(browser, server.url) as opened:
        yield opened
        assert opened.complaints == []


@pytest.fixture(scope="module")
def samples(
    server: Server, client: OpenAI, video: Video, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """One file for each verdict that this service can reach without files of others."""
    folder = tmp_path_factory.mktemp("samples")
    made = folder / "clip.mp4"
    made.write_bytes(client.videos.download_content(video.id).read())
    media = open_media(made)
    frames = list(media.frames())
    write_video(folder / "copy.mp4", frames, fps=media.fps, crf=26)
    spoiled = bytearray(made.read_bytes())
    spoiled[-200] ^= 0xFF
    (folder / "changed.mp4").write_bytes(spoiled)
    coffee = skimage.data.coffee()
    write_image(folder / "coffee.png", coffee)
    media_id = MediaId.parse(str((video.model_extra or {})["provenance"]["media_id"]))
    ring = keys.rings(Settings.from_env({"ASSAY_HOME": str(server.home)}))[0]
    unit = torch.from_numpy(coffee.copy()).permute(2, 0, 1)[None].float() / 255
    marked = Mark(ring.draw(lambda count: 0), media_id).apply(unit, clip=False)
    write_image(folder / "stolen.png", (marked[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    return {
        "Made here": made,
        "Made here, credentials recovered": folder / "copy.mp4",
        "Changed after it was signed": folder / "changed.mp4",
        "A mark of ours on another picture": folder / "stolen.png",
        "No evidence found": folder / "coffee.png",
    }


def test_every_verdict_is_worded_and_every_state_is_accessible(verify: Tab, samples: dict[str, Path]) -> None:
    assert verify.faults() == []
    assert verify.verify(*samples.values()) == list(samples)
    page = verify.page
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    assert verify.faults() == []
    page.emulate_media(color_scheme="dark")
    assert verify.faults() == []
    assert page.locator("#summary").inner_text().startswith("5 of 5 examined")
    recovered = page.locator(".recovered")
    assert recovered.get_by_role("heading", name="Recovered credentials").count() == 1
    with page.expect_download() as saved:
        recovered.get_by_role("button", name="Download the manifest").click()
    assert b"c2pa" in Path(saved.value.path()).read_bytes()
    assert page.get_by_text("Does not prove").count() >= 10


def test_the_keyboard_and_the_screen_reader(verify: Tab, samples: dict[str, Path]) -> None:
    page = verify.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(5):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file"
    assert page.get_by_label("Choose files or drop them here").count() == 1
    # A native file input in focus: Enter and space are the browser's own business.
    page.locator("input[type=file]:focus").set_input_files(
        [samples["No evidence found"], samples["Made here"]]
    )
    page.locator(".card .badge").nth(1).wait_for(state="attached", timeout=ANSWER_MS)
    assert page.get_by_role("status").inner_text() == "clip.mp4: Made here"
    card = page.locator(".card").nth(1)
    card.locator("> summary").focus()
    assert not card.get_attribute("open")
    page.keyboard.press("Enter")
    assert card.evaluate("card => card.open")
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate("document.activeElement.id") == "file"
    assert page.locator(".card").count() == 0


def test_a_phone_shows_everything_without_scrolling_sideways(
    browser: Browser, server: Server, samples: dict[str, Path]
) -> None:
    with tab(browser, server.url, viewport={"width": 360, "height": 740}, has_touch=True) as phone:
        phone.verify(samples["Made here"])
        phone.page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
        width = phone.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360
        assert phone.faults() == []
        assert phone.complaints == []


def test_files_are_dropped_and_their_names_are_text(verify: Tab) -> None:
    page = verify.page
    name = "<img src=x onerror=document.title='owned'>.txt"
    page.evaluate(
        """name => {
            const dropped = new DataTransfer();
            dropped.items.add(new File(["no picture"], name, { type: "text/plain" }));
            const how = { dataTransfer: dropped, bubbles: true, cancelable: true };
            document.dispatchEvent(new DragEvent("drop", how));
        }""",
        name,
    )
    page.wait_for_selector(".card .badge", timeout=ANSWER_MS)
    assert page.locator(".file-name").inner_text() == name
    assert page.locator(".card .badge").inner_text() == "Not examined"
    assert page.locator(".card .means").inner_text() != ""
    assert page.title().startswith("Assay")
    assert verify.faults() == []


def test_a_server_that_is_away_is_said_and_tried_again(verify: Tab, samples: dict[str, Path]) -> None:
    page = verify.page
    page.route("**/v1/verify", lambda route: route.abort())
    assert verify.verify(samples["No evidence found"]) == ["Not examined"]
    assert "did not answer" in page.locator(".card .means").inner_text()
    page.unroute("**/v1/verify")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("text=No evidence found", timeout=ANSWER_MS)


def test_a_key_is_asked_for_and_sent(verify: Tab, samples: dict[str, Path]) -> None:
    page = verify.page

    def answer(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer assay_right":
            route.fulfill(status=200, body=json.dumps(REPORT), content_type="application/json")
        else:
            route.fulfill(
                status=401, body='{"detail": "Send an API key"}', content_type="application/problem+json"
            )

    page.route("**/v1/verify", answer)
    assert verify.verify(samples["No evidence found"]) == ["Not examined"]
    page.get_by_label("This server asks for an API key").fill("assay_right")
    assert verify.faults() == []
    page.get_by_role("button", name="Use key").click()
    page.wait_for_selector("text=Made here")


def test_a_timeline_says_which_seconds_are_ours(verify: Tab, samples: dict[str, Path]) -> None:
    page = verify.page
    whole = {"left": 0, "top": 0, "right": 64, "bottom": 64}
    part = {"start": 2.0, "end": 5.0, "id": "0123456789ab", "log10_p": -9.0, "box": whole, "match": "match"}
    parts = [part | {"start": 7.0, "end": 8.0, "id": "ffffffffffff"}, part]
    body = json.dumps(REPORT | {"parts": parts, "coverage": {"time": 0.4, "area": 1.0}})
    page.route(
        "**/v1/verify", lambda route: route.fulfill(status=200, body=body, content_type="application/json")
    )
    verify.verify(samples["Made here"])
    assert page.locator(".track li").all_inner_texts() == [
        "0:00 to 0:02: No mark",
        "0:02 to 0:05: Marked here, 0123456789ab",
        "0:05 to 0:07: No mark",
        "0:07 to 0:08: Other record, ffffffffffff",
        "0:08 to 0:10: No mark",
    ]
    assert page.get_by_text("40 % of 0:10 carry a mark of this service.").count() == 1
    assert verify.faults() == []


@pytest.mark.skipif(not SIGNED_BY_OTHERS.exists(), reason="needs ../shared/data/c2pa")
def test_the_manifest_of_others_is_a_tree(verify: Tab) -> None:
    assert verify.verify(SIGNED_BY_OTHERS) == ["Signed by somebody else"]
    page = verify.page
    page.locator(".tree summary", has_text="Made from").click()
    page.locator(".tree summary", has_text="Made from").locator("xpath=..").locator("summary").nth(1).click()
    assert page.locator(".tree .problems li").count() >= 1
    assert verify.faults() == []


def test_the_theme_is_chosen_and_remembered(verify: Tab) -> None:
    page = verify.page
    button = page.get_by_role("button", name="Theme: system")
    button.click()
    button = page.get_by_role("button", name="Theme: light")
    button.click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert page.get_by_role("button", name="Theme: dark").count() == 1
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


def test_every_word_is_in_one_file() -> None:
    strings = json.loads((WEB / "strings.json").read_text("utf-8"))
    sources = {
        path.name: path.read_text("utf-8") for path in WEB.iterdir() if path.name.endswith((".js", ".html"))
    }
    asked = set()
    for name, text in sources.items():
        pattern = r"\{\{([a-z_.]+)\}\}" if name.endswith(".html") else r"""\b(?:say|sayOr)\("([a-z_.]+)\""""
        asked |= set(re.findall(pattern, text))
        asked |= set(re.findall(r'"((?:means|verdict)\.unknown)"', text))
        if name.endswith(".html"):
            words = re.sub(r"<[^>]*>|\{\{[a-z_.]+\}\}", " ", text).split()
            assert words == [], f"{name}: words that are not in strings.json"
    assert asked <= set(strings)
    built = tuple(f"{group}." for group in BUILT)
    assert [name for name in strings if name not in asked and not name.startswith(built)] == []


def test_a_page_without_its_words_does_not_start() -> None:
    assert fill("<p>{{a.b}}</p>", {"a.b": "<b>"}) == "<p>&lt;b&gt;</p>"
    with pytest.raises(ConfigurationError, match="missing"):
        fill("{{missing}}", {})
