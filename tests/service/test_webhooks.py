"""Webhooks: signed as the SDK checks it, repeated, replayed, sent once by several senders, not inwards."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from openai import OpenAI
from openai._exceptions import InvalidWebhookSignatureError

from service.api.app import create_app
from service.errors import WebhookError
from service.jobs import JobStore
from service.keys import create_keys
from service.serve import build_state
from service.settings import Settings
from service.store.database import Database
from service.store.webhooks import OVERLAP, RETRY_AFTER, Endpoint, WebhookStore
from service.webhooks import Sender, check_url, shown
from service.wiring import open_services
from tests.service.conftest import NOW, Clock, new_job
from tests.service.test_jobs import RESULT, claim, record_of


class Receiver:
    """A server on loopback that keeps what it is sent and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(outer.answer)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def store(database: Database, clock: Clock) -> WebhookStore:
    return WebhookStore(database, clock=clock)


@pytest.fixture
def sender(store: WebhookStore, clock: Clock) -> Sender:
    return Sender(store, clock=clock, private=True)


@pytest.fixture
def endpoint(store: WebhookStore, receiver: Receiver) -> Endpoint:
    return store.add("ada", name="mine", url=receiver.url, event_types=["video.completed", "video.failed"])


def verify(receiver: Receiver, secret: str, index: int = -1, tolerance: int = 10**9) -> str:
    """The event type, as the SDK unwraps what arrived. The clock of the test is not that of the SDK."""
    headers, body = receiver.got[index]
    client = OpenAI(api_key="x", webhook_secret=secret)
    client.webhooks.verify_signature(body, headers, tolerance=tolerance)
    event = httpx.Response(200, content=body).json()
    return str(event["type"])


def test_a_finished_job_is_announced_once_to_its_tenant(
    jobs: JobStore, store: WebhookStore, sender: Sender, endpoint: Endpoint, receiver: Receiver
) -> None:
    other = store.add("bob", name="other", url=receiver.url, event_types=["video.completed"])
    for ending in ("publish", "fail", "cancel"):
        job, _ = jobs.submit(new_job())
        if ending == "cancel":
            jobs.cancel("ada", job.id)
            continue
        lease = claim(jobs)
        if ending == "publish":
            jobs.publish(lease, record_of(lease), RESULT)
            jobs.publish(lease, record_of(lease), RESULT)
        else:
            jobs.fail(lease, "quality_check_failed", "x")
    while sender.send_due():
        pass
    types = [verify(receiver, endpoint.secret, index) for index in range(len(receiver.got))]
    assert types == ["video.completed", "video.failed", "video.failed"]
    assert store.log(other.id) == []
    assert {shown(one) for one in store.log(endpoint.id)} == {"delivered"}


def test_failures_are_repeated_under_the_same_id_and_given_up(
    store: WebhookStore, sender: Sender, endpoint: Endpoint, receiver: Receiver, clock: Clock
) -> None:
    receiver.answer = 503
    store.enqueue(endpoint.id, {"id": "evt_1", "type": "video.completed"})
    for pause in (*RETRY_AFTER, timedelta(0)):
        assert sender.send_due()
        assert not sender.send_due()
        clock.forward(pause)
    assert not sender.send_due()
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {"evt_1"}
    assert len(receiver.got) == 10
    (delivery,) = store.log(endpoint.id)
    assert (shown(delivery), delivery.last_status, delivery.attempts) == ("failed", 503, 10)
    receiver.answer = 204
    assert store.replay(endpoint.id, delivery.id)
    assert sender.send_due()
    assert shown(store.log(endpoint.id)[0]) == "delivered"
    assert not store.replay(endpoint.id, "whd_x")


def test_a_sender_that_died_loses_no_event(store: WebhookStore, endpoint: Endpoint, clock: Clock) -> None:
    store.enqueue(endpoint.id, {"id": "evt_1", "type": "video.completed"})
    assert store.take() is not None
    assert store.take() is None
    clock.forward(timedelta(minutes=1))
    assert store.take() is not None


def test_an_endpoint_that_is_gone_is_left_alone(
    store: WebhookStore, sender: Sender, endpoint: Endpoint, receiver: Receiver
) -> None:
    receiver.answer = 410
    for index in range(2):
        store.enqueue(endpoint.id, {"id": f"evt_{index}", "type": "video.completed"})
    assert sender.send_due()
    assert not sender.send_due()
    found = store.find("ada", endpoint.id)
    assert found is not None
    assert found.disabled_at == NOW


def test_both_secrets_sign_while_they_overlap(
    store: WebhookStore, sender: Sender, endpoint: Endpoint, receiver: Receiver, clock: Clock
) -> None:
    rotated = store.rotate("ada", endpoint.id, overlap=True)
    assert rotated is not None
    sender.post(rotated, "evt_1", '{"type":"video.failed"}')
    for secret in (endpoint.secret, rotated.secret):
        assert verify(receiver, secret) == "video.failed"
    clock.forward(OVERLAP)
    sender.post(rotated, "evt_2", '{"type":"video.failed"}')
    assert verify(receiver, rotated.secret) == "video.failed"
    with pytest.raises(InvalidWebhookSignatureError):
        verify(receiver, endpoint.secret)
    with pytest.raises(InvalidWebhookSignatureError):
        verify(receiver, rotated.secret, tolerance=1)  # the test's clock stands still


@pytest.mark.parametrize(
    "url",
    ["http://example.org", "https://u:p@example.org", "https://", "ftp://x", "https://x:0", "https://[x"],
)
def test_addresses_that_are_not_called(url: str) -> None:
    with pytest.raises(WebhookError):
        check_url(url, private=False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "localhost", "[fd00::1]"]
)
def test_our_own_network_is_not_called(store: WebhookStore, clock: Clock, host: str) -> None:
    outward = Sender(store, clock=clock, private=False)
    endpoint = store.add("ada", name="x", url=f"https://{host}/", event_types=["video.failed"])
    with pytest.raises(WebhookError, match="private"):
        outward.post(endpoint, "evt_1", "{}")


def test_endpoints_are_managed_over_http(tmp_path: Path, receiver: Receiver) -> None:
    settings = Settings(home=tmp_path, webhook_private=True)
    create_keys(settings.keys, now=NOW)
    http = TestClient(create_app(build_state(open_services(settings))), base_url="http://assay")
    asked = {"name": "mine", "url": receiver.url, "event_types": ["video.completed"]}
    made = http.post("/v1/webhook_endpoints", json=asked).json()
    url = f"/v1/webhook_endpoints/{made['id']}"
    tried = http.post(f"{url}/test", json={"event_type": "video.failed"}).json()
    assert (tried["status_code"], tried["success"]) == (200, True)
    headers, body = receiver.got[-1]
    event = OpenAI(api_key="x", webhook_secret=made["signing_secret"]).webhooks.unwrap(body, headers)
    assert str(event.type) == "video.failed"
    assert http.get(url).json().get("signing_secret") is None
    assert http.get(f"{url}/deliveries").json()["data"] == []
    receiver.server.server_close()
    receiver.server.shutdown()
    failed = http.post(f"{url}/test", json={"event_type": "video.failed"})
    assert (failed.status_code, failed.json()["reason"]) == (422, "webhook_unreachable")
    assert http.post(url, json={"url": "ftp://x"}).json()["reason"] == "bad_webhook_url"
    assert http.post(url, json={"name": "new"}).json()["name"] == "new"
    assert http.delete(url).json()["deleted"] is True
    assert http.get(url).status_code == 404
