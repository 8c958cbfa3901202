"""Sends events to the endpoints of tenants: signed, repeated, never to a machine of our own network.

Signatures follow the Standard Webhooks specification (standardwebhooks.com), which the `openai` SDK's
`webhooks.unwrap` checks: HMAC-SHA256 over `id.timestamp.body`. The `webhook-id` stays the same when an event
is repeated, so that a receiver can tell.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from ipaddress import ip_address
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

import httpx

from service.errors import WebhookError
from service.store.patience import AWAY
from service.store.webhooks import SECRET_PREFIX, Delivery, Endpoint, WebhookStore

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 15.0
"""For the whole attempt to connect and to answer; the specification suggests 15 to 30."""
LOOK_SECONDS = 1.0
ANSWER_BYTES = 4096
"""An answer's body is not read further than this."""


def sign(secret: str, message_id: str, timestamp: int, body: str) -> str:
    """One signature of the header `webhook-signature`."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{message_id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(secrets: Sequence[str], message_id: str, body: str, now: datetime) -> dict[str, str]:
    """The headers of one message, signed with every secret."""
    timestamp = int(now.timestamp())
    return {
        "content-type": "application/json",
        "user-agent": "assay-webhooks",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }


def check_url(url: str, *, private: bool) -> None:
    """Raise `WebhookError` unless `url` may be called: https to a name or public address.

    `private`: plain http and addresses of this network are allowed too.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WebhookError(f"url: {error}") from error
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise WebhookError("url: use https")
    if not parts.hostname or parts.username or parts.password or port == 0 or not url.isascii():
        raise WebhookError("url: give a host name, without user and password, in ASCII")


class Sender:
    """A thread that sends what is due. Several processes may run one each: a delivery is taken by one."""

    def __init__(self, store: WebhookStore, *, clock: Callable[[], datetime], private: bool) -> None:
        self._store = store
        self._clock = clock
        self._private = private
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(TIMEOUT_SECONDS)
        self._client.close()

    def send_due(self) -> bool:
        """Send one delivery that is due; False when there is none."""
        taken = self._store.take()
        if taken is None:
            return False
        delivery, endpoint = taken
        try:
            status = self.post(endpoint, delivery.event_id, delivery.body)
        except WebhookError as error:
            self._store.report(delivery, status=None, error=str(error))
            log.info("webhook %s: attempt %d failed: %s", delivery.id, delivery.attempts, error)
        else:
            self._store.report(delivery, status=status, error=None)
        return True

    def post(self, endpoint: Endpoint, message_id: str, body: str) -> int:
        """Send one message; the status of the answer. Raises `WebhookError` when there is none."""
        headers = signed_headers(endpoint.secrets_at(self._clock()), message_id, body, self._clock())
        check_url(endpoint.url, private=self._private)
        parts = urlsplit(endpoint.url)
        host = parts.hostname or ""
        address = self._resolve(host, parts.port or (443 if parts.scheme == "https" else 80))
        # The address that was checked is the one that is called: the name might answer otherwise next time.
        bracketed = f"[{address}]" if ":" in address else address
        place = bracketed if parts.port is None else f"{bracketed}:{parts.port}"
        url = urlunsplit((parts.scheme, place, parts.path or "/", parts.query, ""))
        try:
            with self._client.stream(
                "POST",
                url,
                content=body.encode(),
                headers={**headers, "host": parts.netloc},
                extensions={"sni_hostname": host},
            ) as answer:
                return answer.status_code
        except httpx.HTTPError as error:
            raise WebhookError(f"{type(error).__name__}: {error}") from error

    def _resolve(self, host: str, port: int) -> str:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise WebhookError(f"{host}: the name cannot be resolved") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not self._private and not all(ip_address(address).is_global for address in addresses):
            raise WebhookError(f"{host}: an address of a private network is not called")
        return addresses[0]

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                sent = self.send_due()
            except AWAY as error:
                log.warning("webhooks wait for the database: %s", error.orig)
                sent = False
            except Exception:
                log.exception("a webhook could not be handled")
                sent = False
            if not sent:
                self._stopping.wait(LOOK_SECONDS)


def shown(delivery: Delivery) -> str:
    """`delivered`, `pending`, or `failed`: given up."""
    if delivery.delivered_at is not None:
        return "delivered"
    return "failed" if delivery.next_at is None else "pending"
