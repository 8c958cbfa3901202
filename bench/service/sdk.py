"""Calls every video, image, moderation, provenance, model and webhook method of the installed `openai` SDK.

`python -m bench.service.sdk http://127.0.0.1:8000` prints one line per call and ends with 1 when one did
not do what it should. Another version of the SDK: put the folder it is installed in on PYTHONPATH. It
imports nothing of the product.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import struct
import sys
import traceback
import urllib.request
import warnings
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI

PROMPT = "a red balloon over a blue sea at dusk"
REFUSED = "press photo of Angela Merkel"
POLL = 200
STATES = ("queued", "in_progress", "completed", "failed")


def png(side: int = 256) -> bytes:
    """A picture of a gradient, without any library."""
    row = b"\0" + b"".join(bytes((x % 256, 90, 200 - x % 128)) for x in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(row * side)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


class Walk:
    """The calls in order; each may use what the ones before left in `self`."""

    def __init__(self, url: str, key: str, folder: Path) -> None:
        self.url, self.key, self.folder = url, key, folder
        self.client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=2)
        self.clip = folder / "clip.mp4"
        self.video: Any = None

    def videos_create(self) -> str:
        raw = self.client.videos.with_raw_response.create(
            prompt=PROMPT, extra_headers={"Idempotency-Key": "walk"}, extra_body={"seed": 7}
        )
        video = raw.parse()
        again = self.client.videos.create(
            prompt=PROMPT, extra_headers={"Idempotency-Key": "walk"}, extra_body={"seed": 7}
        )
        expect(again.id == video.id, "the same Idempotency-Key made another job")
        expect(raw.headers["openai-poll-after-ms"].isdigit(), "no openai-poll-after-ms")
        expect(raw.headers["x-request-id"] != "", "no x-request-id")
        self.video = video
        return f"{video.id} {video.status}"

    def videos_retrieve(self) -> str:
        video = self.client.videos.retrieve(self.video.id)
        expect(video.status in STATES, f"status {video.status}")
        return str(video.status)

    def videos_poll(self) -> str:
        self.video = self.client.videos.poll(self.video.id, poll_interval_ms=POLL)
        expect(self.video.status == "completed", str(self.video.error))
        return f"{self.video.seconds} s, {self.video.size}"

    def videos_create_and_poll(self) -> str:
        made = self.client.videos.create_and_poll(prompt="a boat on a calm sea", poll_interval_ms=POLL)
        expect(made.status == "completed", str(made.error))
        return str(made.id)

    def videos_create_refused(self) -> str:
        error = refused(lambda: self.client.videos.create(prompt=REFUSED))
        expect(error.code == "moderation_blocked", str(error.code))
        expect(error.response.headers["x-should-retry"] == "false", "x-should-retry")
        return f"{error.status_code} {error.code}"

    def videos_create_with_reference(self) -> str:
        video = maybe(lambda: self.client.videos.create(prompt="a", input_reference=("a.png", png())))
        return answered(video)

    def videos_create_with_data_url(self) -> str:
        url = "data:image/png;base64,iVBORw0KGgo="
        error = refused(
            lambda: self.client.videos.create(prompt="a", extra_body={"input_reference": {"image_url": url}}),
            openai.UnprocessableEntityError,
        )
        return f"{error.status_code} {error.code}"  # a PNG's first eight bytes are no picture

    def videos_list(self) -> str:
        seen = [video.id for video in self.client.videos.list(limit=1, order="desc")]
        expect(self.video.id in seen and len(set(seen)) == len(seen), "pages repeat or lose a video")
        first = self.client.videos.list(limit=1, order="asc")
        expect(len(first.data) == 1, "limit")
        return f"{len(seen)} videos in pages of one"

    def videos_download_content(self) -> str:
        data = self.client.videos.download_content(self.video.id).read()
        self.clip.write_bytes(data)
        expect(data[4:8] == b"ftyp", "no MP4")
        ranged = self.client.videos.with_raw_response.download_content(
            self.video.id, extra_headers={"Range": "bytes=4-7"}
        )
        expect(ranged.http_response.status_code == 206, "no 206")
        expect(ranged.http_response.content == b"ftyp", "wrong part")
        streamed = io.BytesIO()
        with self.client.videos.with_streaming_response.download_content(self.video.id) as answer:
            for chunk in answer.iter_bytes():
                streamed.write(chunk)
        expect(streamed.getvalue() == data, "the streamed file differs")
        return f"{len(data)} bytes"

    def videos_download_variants(self) -> str:
        sizes = {}
        for variant in ("thumbnail", "spritesheet"):
            data = self.client.videos.download_content(self.video.id, variant=variant).read()
            expect(data[8:12] == b"WEBP", f"{variant} is no WebP")
            sizes[variant] = len(data)
        return str(sizes)

    def videos_remix(self) -> str:
        remix = self.client.videos.remix(self.video.id, prompt="a boat on a calm sea at noon")
        expect(remix.remixed_from_video_id == self.video.id, "remixed_from_video_id")
        return self._dropped(remix)

    def videos_edit(self) -> str:
        edit = self.client.videos.edit(
            prompt="a green balloon over a blue sea",
            video=openai.omit,  # type: ignore[arg-type]
            extra_body={"video": {"id": self.video.id}},
        )
        return self._dropped(edit)

    def videos_edit_file(self) -> str:
        return answered(maybe(lambda: self.client.videos.edit(prompt="a", video=self.clip)))

    def videos_extend(self) -> str:
        return answered(
            maybe(
                lambda: self.client.videos.extend(
                    prompt="a",
                    seconds="4",
                    video=openai.omit,  # type: ignore[arg-type]
                    extra_body={"video": {"id": self.video.id}},
                )
            )
        )

    def videos_characters(self) -> str:
        made = self.client.videos.create_character(name="a balloon", video=self.clip)
        found = self.client.videos.get_character(str(made.id))
        expect((found.id, found.name) == (made.id, "a balloon"), "another character")
        return str(made.id)

    def videos_delete(self) -> str:
        gone = self.client.videos.create(prompt="a boat", extra_body={"seed": 8})
        deleted = self.client.videos.delete(gone.id)
        expect(deleted.deleted and deleted.id == gone.id, "not deleted")
        refused(lambda: self.client.videos.retrieve(gone.id), openai.NotFoundError)
        return str(deleted.object)

    def videos_async(self) -> str:
        async def walk() -> str:
            async with AsyncOpenAI(base_url=f"{self.url}/v1", api_key=self.key) as client:
                video = await client.videos.retrieve(self.video.id)
                listed = [one.id async for one in client.videos.list(limit=50)]
                expect(video.id in listed, "not listed")
                return str(video.status)

        return asyncio.run(walk())

    def images_generate(self) -> str:
        return answered(maybe(lambda: self.client.images.generate(prompt=PROMPT)))

    def images_generate_stream(self) -> str:
        error = refused(lambda: self.client.images.generate(prompt=PROMPT, stream=True, partial_images=0))
        expect("stream" in str(error), "no word about streams")
        return f"{error.status_code}: no stream, for a part of a picture would leave unmarked"

    def images_edit(self) -> str:
        return answered(maybe(lambda: self.client.images.edit(image=("a.png", png()), prompt="a cup")))

    def images_create_variation(self) -> str:
        call = partial(self.client.images.create_variation, image=("a.png", png()))
        return f"{refused(call, openai.NotFoundError).status_code}: not offered"

    def images_generate_refused(self) -> str:
        error = refused(lambda: self.client.images.generate(prompt=REFUSED))
        return f"{error.status_code} {error.code}"

    def moderations_create(self) -> str:
        answer = self.client.moderations.create(input=["a boat on a calm sea", REFUSED])
        expect([one.flagged for one in answer.results] == [False, True], "flags")
        expect(not self.client.moderations.create(input="a boat").results[0].flagged, "text")
        parts: Any = [
            {"type": "text", "text": "a boat"},
            {"type": "image_url", "image_url": {"url": data_url(png())}},
        ]
        whole = self.client.moderations.create(input=parts).results
        expect(len(whole) == 1 and not whole[0].flagged, "parts are judged together")
        return f"{len(answer.results)} results"

    def content_provenance_checks_create(self) -> str:
        check = self.client.content_provenance_checks.create(file=self.clip)
        outcomes = {one.type: one.outcome for one in check.results}
        expect(set(outcomes.values()) == {"detected"}, str(outcomes))
        return str(outcomes)

    def models_list_and_retrieve(self) -> str:
        names = [model.id for model in self.client.models.list()]
        expect(self.client.models.retrieve(names[0]).id == names[0], "another model")
        return ", ".join(names)

    def webhooks(self) -> str:
        if not hasattr(self.client.webhooks, "create"):
            return f"openai {openai.__version__} has no endpoints"
        made = self.client.webhooks.create(
            name="walk", url="https://example.org/hook", event_types=["video.completed", "video.failed"]
        )
        listed = [one.id for one in self.client.webhooks.list(limit=1)]
        expect(made.id in listed, "not listed")
        expect(self.client.webhooks.retrieve(made.id).name == "walk", "retrieve")
        changed = self.client.webhooks.update(made.id, event_types=["video.failed"])
        expect(changed.event_types == ["video.failed"], "update")
        rotated = self.client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
        expect(rotated.signing_secret != made.signing_secret, "rotate")
        expect("video.failed" in self.client.webhooks.event_types.list().data, "event types")
        expect(self.client.webhooks.delete(made.id).deleted, "delete")
        return str(made.id)

    def _dropped(self, video: Any) -> str:
        expect(video.status in STATES, f"status {video.status}")
        self.client.videos.delete(video.id)
        return str(video.id)


def data_url(data: bytes) -> str:
    """A PNG as data URL."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def expect(holds: bool, complaint: str) -> None:
    """Raise `RuntimeError` unless `holds`."""
    if not holds:
        raise RuntimeError(complaint)


def refused(
    call: Callable[[], object], kind: type[openai.APIStatusError] = openai.BadRequestError
) -> openai.APIStatusError:
    """The error that `call` must end with."""
    try:
        call()
    except kind as error:
        return error
    raise RuntimeError(f"no {kind.__name__}")


def maybe(call: Callable[[], Any]) -> Any:
    """What `call` answers, or the refusal that says the model cannot do it."""
    try:
        return call()
    except openai.BadRequestError as error:
        body = json.loads(error.response.content)
        expect(body["reason"] == "unsupported_by_model", f"{body['reason']}: {body['detail']}")
        return error


def answered(outcome: Any) -> str:
    """One word about `maybe`'s answer."""
    if isinstance(outcome, openai.APIStatusError):
        return f"{outcome.status_code} {outcome.code}"
    return "done"


def walk(url: str, key: str) -> list[tuple[str, bool, str]]:
    """Every call: its name, whether it did what it should, and what came back."""
    warnings.simplefilter("ignore", DeprecationWarning)
    results = []
    with TemporaryDirectory() as folder:
        tour = Walk(url, key, Path(folder))
        names = [name for name, value in vars(Walk).items() if not name.startswith("_") and callable(value)]
        with urllib.request.urlopen(f"{url}/openapi.json") as answer:
            paths = json.load(answer)["paths"]
        if "/v1/images/generations" not in paths:
            names = [name for name in names if not name.startswith("images_")]
            print("--  this server offers no images")
        for name in names:
            try:
                results.append((name, True, getattr(tour, name)()))
            except Exception as error:
                traceback.print_exc()
                results.append((name, False, f"{type(error).__name__}: {error}"))
            print(f"{'ok ' if results[-1][1] else 'NO '} {name:36s} {results[-1][2][:150]}", flush=True)
    return results


def main() -> int:
    """Walk over the service named on the command line."""
    results = walk(sys.argv[1].rstrip("/"), os.environ.get("OPENAI_API_KEY", "unused"))
    good = sum(done for _, done, _ in results)
    print(f"openai {openai.__version__}: {good} of {len(results)} calls did what they should")
    return 0 if good == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
