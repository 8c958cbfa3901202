"""The operators' page and what it reads, over the real service."""

from collections.abc import Iterator

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types import Video
from playwright.sync_api import Browser, Route

from service.settings import Settings
from service.wiring import open_services
from tests.service.browser import Tab, tab
from tests.service.server import Server

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
REFUSED = "press photo of Angela Merkel"


@pytest.fixture(scope="module")
def secrets_of(server: Server) -> dict[str, str]:
    """An administrator's key, and one that may not look."""
    services = open_services(Settings.from_env({"ASSAY_HOME": str(server.home)}))
    keys = {scope: services.api_keys.issue("ops", (scope,))[1] for scope in ("admin", "generate")}
    services.database.close()
    return keys


def ask(server: Server, secret: str, path: str, **params: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.get(f"{server.url}/v1/admin/{path}", headers=headers, params=params)  # type: ignore[arg-type]


def media_id(video: Video) -> str:
    return str((video.model_extra or {})["provenance"]["media_id"])


def refuse(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.videos.create(prompt=REFUSED)


@pytest.mark.parametrize("path", ["queue", "jobs", "decisions", "marks"])
def test_nobody_looks_without_an_administrators_key(
    server: Server, secrets_of: dict[str, str], path: str
) -> None:
    assert httpx.get(f"{server.url}/v1/admin/{path}").status_code == 401
    assert ask(server, "assay_wrong", path).status_code == 401
    assert ask(server, secrets_of["generate"], path).json()["reason"] == "scope_missing"
    assert ask(server, secrets_of["admin"], path).status_code == 200


def test_what_operators_read_holds_no_prompt(
    server: Server, client: OpenAI, video: Video, secrets_of: dict[str, str]
) -> None:
    refuse(client)
    admin = secrets_of["admin"]
    texts = [ask(server, admin, path).text for path in ("queue", "jobs", "decisions", "marks")]
    assert not any(word in text for text in texts for word in ("Merkel", "balloon", "boat"))
    row = ask(server, admin, "decisions", outcome="block", reason="PERSON.").json()["data"][0]
    assert row["reason"].startswith("PERSON.")
    assert ask(server, admin, "decisions", reason="PERSON%").json()["data"] == []
    assert ask(server, admin, "marks", id=media_id(video)).json()["data"][0]["tenant"] == "default"
    assert ask(server, admin, "jobs", status="completed").json()["data"][0]["status"] == "completed"
    assert ask(server, admin, "queue").json()["counts"]["completed"] >= 1


def test_pages_follow_each_other_without_gap(
    server: Server, client: OpenAI, secrets_of: dict[str, str]
) -> None:
    for _ in range(3):
        refuse(client)
    whole = ask(server, secrets_of["admin"], "decisions", limit=200).json()["data"]
    walked, parameters = [], {"limit": 2}
    while parameters:
        page = ask(server, secrets_of["admin"], "decisions", **parameters).json()
        walked += page["data"]
        parameters = page["next"] and {"limit": 2, **page["next"]}
    assert [row["id"] for row in walked] == [row["id"] for row in whole]
    assert len(walked) >= 4


def test_a_record_is_withdrawn_once(server: Server, client: OpenAI, secrets_of: dict[str, str]) -> None:
    made = client.videos.create_and_poll(prompt="a boat on a calm sea", poll_interval_ms=200)
    headers = {"authorization": f"Bearer {secrets_of['admin']}"}
    url = f"{server.url}/v1/admin/marks/{media_id(made)}/revoke"
    assert httpx.post(url).status_code == 401
    assert httpx.post(url, headers=headers).json() == {"id": media_id(made), "object": "mark.revoked"}
    assert httpx.post(url, headers=headers).status_code == 404
    assert httpx.post(url.replace(media_id(made), "nothing"), headers=headers).status_code == 404
    data = client.videos.download_content(made.id).read()
    report = httpx.post(f"{server.url}/v1/verify", content=data, timeout=60).json()
    assert report["registry"]["revoked_at"] is not None


@pytest.fixture
def desk(browser: Browser, server: Server, secrets_of: dict[str, str]) -> Iterator[Tab]:
    with tab(browser, f"{server.url}/operators") as opened:
        opened.page.get_by_label("Administrator's API key").fill(secrets_of["admin"])
        opened.page.get_by_role("button", name="Use key").click()
        opened.page.get_by_role("tab", name="Queue").wait_for()
        yield opened
        assert opened.complaints == []


def test_the_page_asks_for_a_key_and_says_when_it_is_wrong(browser: Browser, server: Server) -> None:
    with tab(browser, f"{server.url}/operators") as opened:
        assert opened.faults() == []
        opened.page.get_by_label("Administrator's API key").fill("assay_wrong")
        opened.page.get_by_role("button", name="Use key").click()
        opened.page.get_by_text("unknown, expired or revoked").wait_for()
        assert opened.page.get_by_role("tablist").is_hidden()
        assert opened.faults() == []


def test_every_tab_by_keyboard(desk: Tab, client: OpenAI, video: Video) -> None:
    refuse(client)
    page = desk.page
    page.get_by_role("cell", name=video.id).wait_for()
    assert desk.faults() == []
    page.get_by_role("tab", name="Queue").focus()
    page.keyboard.press("ArrowRight")
    panel = page.get_by_role("tabpanel", name="Decisions")
    panel.get_by_label("Outcome").select_option("block")
    panel.get_by_role("cell", name="Allowed").first.wait_for(state="detached")
    panel.get_by_role("button", name="Details of").first.click()
    assert panel.locator("tr.detail").get_by_text("PERSON.").count() >= 1
    assert "Merkel" not in page.content()
    assert desk.faults() == []
    page.get_by_role("tab", name="Decisions").press("End")
    marks = page.get_by_role("tabpanel", name="Marks")
    marks.get_by_label("Id").fill(media_id(video))
    marks.get_by_label("Id").press("Enter")
    marks.locator("[aria-busy=false]").wait_for()
    marks.get_by_role("button", name=f"Details of {media_id(video)}").click()
    marks.get_by_role("button", name="Withdraw the record").click()
    assert page.get_by_role("dialog").get_by_text(media_id(video)).count() == 1
    assert desk.faults() == []
    page.keyboard.press("Escape")
    page.emulate_media(color_scheme="dark")
    assert desk.faults() == []
    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_role("tablist").is_hidden()


def test_the_error_of_an_older_question_is_not_shown(desk: Tab, video: Video) -> None:
    page, held = desk.page, list[Route]()
    page.route("**/v1/admin/marks?*id=older*", lambda route: held.append(route))
    page.get_by_role("tab", name="Marks").click()
    marks = page.get_by_role("tabpanel", name="Marks")
    for asked in ("older", media_id(video)):
        marks.get_by_label("Id").fill(asked)
        marks.get_by_label("Id").press("Enter")
    marks.locator("[aria-busy=false]").wait_for()
    assert held
    for route in held:
        with page.expect_response(route.request.url) as answered:
            route.fulfill(status=503, body="{}")
        answered.value.finished()
    page.evaluate("new Promise((done) => setTimeout(done, 100))")
    desk.complaints.clear()  # the browser's own, of the answers that failed
    assert marks.locator(".notice").count() == 0
    assert marks.get_by_role("button", name=f"Details of {media_id(video)}").count() == 1


def test_an_appeal_is_decided(desk: Tab, server: Server, client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.videos.create(prompt=REFUSED)
    decision = caught.value.response.json()["decision_id"]
    asked = {"decision_id": decision, "statement": "<b>It is a painting</b>"}
    appeal = httpx.post(f"{server.url}/v1/appeals", json=asked).json()
    page = desk.page
    page.get_by_role("tab", name="Appeals").click()
    panel = page.get_by_role("tabpanel", name="Appeals")
    panel.get_by_role("button", name=f"Details of {appeal['id']}").click()
    assert panel.get_by_text("<b>It is a painting</b>").count() == 1
    panel.get_by_label("Note, shown to whoever appealed").fill("Looked at.")
    assert desk.faults() == []
    panel.get_by_role("button", name="Reverse it").click()
    panel.get_by_role("button", name=f"Details of {appeal['id']}").wait_for(state="detached")
    closed = httpx.get(f"{server.url}/v1/appeals/{appeal['id']}").json()
    assert (closed["status"], closed["note"]) == ("reversed", "Looked at.")


def test_operators_on_a_phone(desk: Tab, video: Video) -> None:
    page = desk.page
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_text(video.id).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert desk.faults() == []
