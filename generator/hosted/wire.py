"""HTTP to a provider: repeats what may be repeated, waits as it is told, and never reads more than it
should.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx

from generator.hosted.errors import (
    HostedBusyError,
    HostedCredentialsError,
    HostedError,
    HostedTimeoutError,
)

_TRANSIENT: Final = (500, 502, 503, 504)
_MAX_ANSWER: Final = 1 << 20  # bytes of a JSON answer
_REDIRECTS: Final = 3


@lru_cache(maxsize=1)
def _authorities() -> ssl.SSLContext:
    """Reading the list of authorities takes longer than a poll."""
    return httpx.create_ssl_context(trust_env=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """Seconds and bytes. `attempts` counts the first one; `longest_wait` bounds what a provider may ask
    for.
    """

    timeout: float = 60.0
    attempts: int = 4
    first_wait: float = 1.0
    longest_wait: float = 60.0
    max_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Reply:
    """A JSON answer that the provider did not fail to give: `status` below 500 and not 429, 401 or 403."""

    status: int
    body: Any


@dataclass(frozen=True)
class Wire:
    """Requests to one provider, at `base` (scheme and host)."""

    base: str
    sleep: Callable[[float], None]
    limits: WireLimits = field(default_factory=WireLimits)

    def get(self, path: str, headers: Mapping[str, str]) -> Reply:
        """GET, repeated on rate limits, failures of the server and broken connections."""
        return self._json("GET", path, headers, repeatable=True)

    def post(self, path: str, headers: Mapping[str, str], **content: Any) -> Reply:
        """POST `json=`, or `data=` and `files=`.

        Repeated only where the provider did not take it (429, 503, no connection): one that failed on the
        way may have started a task that costs.
        """
        return self._json("POST", path, headers, repeatable=False, **content)

    def other(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """A request whose answer is of no consequence."""
        with contextlib.suppress(httpx.HTTPError), self._client() as client:
            client.request(method, self._at(path), headers=dict(headers))

    def download(self, url: str, target: Path, headers: Mapping[str, str] | None = None) -> None:
        """Write what lies at `url`, at most `max_bytes`, to `target`. `headers` go to the provider's own host
        only. Raises `HostedError`."""
        try:
            with self._client() as client:
                for _ in range(_REDIRECTS + 1):
                    url = self._file_url(url)
                    sent = dict(headers or {}) if self._is_own(url) else {}
                    with client.stream("GET", url, headers=sent) as answer:
                        if answer.is_redirect:
                            url = urljoin(url, answer.headers.get("location", ""))
                            continue
                        if answer.status_code != 200:
                            raise HostedError(f"the finished file answers {answer.status_code}")
                        self._write(answer, target)
                        return
            raise HostedError("the finished file is behind too many redirects")
        except httpx.TimeoutException as error:
            raise HostedTimeoutError("the finished file did not arrive in time") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise HostedError(f"the finished file could not be fetched: {type(error).__name__}") from error

    def _json(
        self, method: str, path: str, headers: Mapping[str, str], *, repeatable: bool, **content: Any
    ) -> Reply:
        failure: HostedError = HostedError("not tried")
        for attempt in range(self.limits.attempts):
            if attempt:
                self.sleep(min(self.limits.longest_wait, self.limits.first_wait * 2 ** (attempt - 1)))
            try:
                with self._client() as client:
                    answer = client.request(method, self._at(path), headers=dict(headers), **content)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = HostedTimeoutError(f"{self._host} cannot be reached: {type(error).__name__}")
                continue
            except httpx.TimeoutException as error:
                failure = HostedTimeoutError(f"{self._host} did not answer within {self.limits.timeout:g} s")
                if not repeatable:
                    raise failure from error
                continue
            except httpx.HTTPError as error:
                failure = HostedError(f"{self._host}: the connection broke: {type(error).__name__}")
                if not repeatable:
                    raise failure from error
                continue
            if answer.status_code == 429 or answer.status_code in _TRANSIENT:
                failure = self._failure(answer)
                if answer.status_code in (429, 503) or repeatable:
                    self._wait_as_told(answer)
                    continue
                raise failure
            return self._reply(answer)
        raise failure

    def _failure(self, answer: httpx.Response) -> HostedError:
        if answer.status_code == 429:
            return HostedBusyError(f"{self._host}: rate limit or quota: {_words(answer)}")
        return HostedError(f"{self._host} answered {answer.status_code}: {_words(answer)}")

    def _wait_as_told(self, answer: httpx.Response) -> None:
        told = answer.headers.get("retry-after", "")
        if told.isdigit():
            self.sleep(min(self.limits.longest_wait, float(told)))

    def _reply(self, answer: httpx.Response) -> Reply:
        if answer.status_code in (401, 403):
            raise HostedCredentialsError(f"{self._host} answered {answer.status_code}: {_words(answer)}")
        if len(answer.content) > _MAX_ANSWER:
            raise HostedError(f"{self._host}: an answer of {len(answer.content)} bytes")
        try:
            return Reply(answer.status_code, answer.json())
        except ValueError as error:
            raise HostedError(f"{self._host} answered {answer.status_code} without JSON") from error

    def _write(self, answer: httpx.Response, target: Path) -> None:
        written = 0
        with target.open("wb") as file:
            for piece in answer.iter_bytes():
                written += len(piece)
                if written > self.limits.max_bytes:
                    raise HostedError(f"the finished file is larger than {self.limits.max_bytes} bytes")
                file.write(piece)

    def _file_url(self, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in {"https", urlsplit(self.base).scheme}:
            raise HostedError("the finished file is at an address that is not https")
        return url

    def _is_own(self, url: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self.base)[:2]

    def _client(self) -> httpx.Client:
        return httpx.Client(
            timeout=self.limits.timeout, follow_redirects=False, trust_env=False, verify=_authorities()
        )

    def _at(self, path: str) -> str:
        return f"{self.base.rstrip('/')}/{path.lstrip('/')}"

    @property
    def _host(self) -> str:
        return urlsplit(self.base).hostname or self.base


def _words(answer: httpx.Response) -> str:
    return " ".join(answer.text.split())[:300]
