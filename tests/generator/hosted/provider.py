"""A provider on this machine: an HTTP server that answers as it was told and keeps what it was sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Sent:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Say:
    """One answer. `delay` seconds pass before it; `headers` besides type and length."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class Provider:
    """`answers` maps "METHOD path" to what is said, one after the other; the last one is repeated."""

    address: str
    answers: dict[str, list[Say]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def on(self, route: str, *answers: Say) -> None:
        self.answers[route] = list(answers)

    def asked(self, route: str) -> list[Sent]:
        return [sent for sent in self.sent if f"{sent.method} {sent.path}" == route]

    def next(self, route: str) -> Say:
        known = self.answers.get(route)
        if not known:
            return Say({"error": {"message": f"no route {route}"}}, 404)
        return known.pop(0) if len(known) > 1 else known[0]


@contextmanager
def running() -> Iterator[Provider]:
    """A provider that listens on the loopback interface until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            lowered = {name.lower(): value for name, value in self.headers.items()}
            provider.sent.append(Sent(self.command, self.path, lowered, body))
            said = provider.next(f"{self.command} {self.path}")
            time.sleep(said.delay)
            content = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in {"content-length": str(len(content)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  names of http.server

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that hang up are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
