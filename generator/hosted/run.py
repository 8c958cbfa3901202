"""A request, through a provider, to a released file.

    guard -> submit -> poll -> fetch -> output rules and quality -> mark in the pixels -> read back -> sign
    -> register

The guard answers before anything leaves this machine. Between the provider's last step and our mark an
unmarked file exists; here it lies in a private work folder that is gone at the end, however it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from generator.admit import Allowed, Hear, admit, enforce_output
from generator.confirm import MarkedMedia
from generator.digests import file_digest, parameters_digest, prompt_digest
from generator.errors import Cancelled, RequestError
from generator.facts import PRODUCT, policy_ref, sound_algs
from generator.hosted.adapter import Answer, Asked, Cost, HostedApi, State
from generator.hosted.errors import HostedError, HostedTimeoutError
from generator.inputs import inputs_of
from generator.mark_media import MediaMarker, Told
from generator.quality import QualityRules, check_quality
from generator.references import ReadReference, reader
from generator.release import Register, Released, work_folder
from generator.request import Request
from generator.sound import mime_of
from generator.stages import CancelRequested, Progress, never_cancelled, no_progress, stop_if
from guard import Guard
from provenance import Agent, Input, ManifestFacts, Model, Role, SourceType
from watermark import MediaId, open_media

_CHECKED_FRAMES: Final = 96
"""Frames that the quality rules look at, evenly spread: they ask for shares of a clip."""


@dataclass(frozen=True, kw_only=True)
class HostedGenerator(MediaMarker):
    """One hosted system behind one guard. `clock_seconds` measures time, `sleep` passes it.

    `deadline` bounds a task in seconds; `max_dollars`, where given, the list price of one result.
    """

    api: HostedApi
    guard: Guard
    prompt_key: bytes
    sleep: Callable[[float], None]
    clock_seconds: Callable[[], float]
    quality: QualityRules = field(default_factory=QualityRules)
    read: ReadReference | None = None
    hear: Hear | None = None
    poll_seconds: float = 5.0
    deadline: float = 1_800.0
    max_dollars: float | None = None

    def generate(
        self,
        request: Request,
        media_id: MediaId,
        *,
        register: Register,
        progress: Progress = no_progress,
        cancelled: CancelRequested = never_cancelled,
    ) -> Released:
        """Have what `request` asks for made, or raise.

        Raises what `SafeGenerator.generate` raises, and `HostedError`, with `HostedRefusalError` where the
        provider's own moderation says no.
        """
        with work_folder(self.folder) as work:
            allowed = self.admit(request)
            arrived = work / "arrived.mp4"
            self._have_made(Asked(allowed.request, allowed.references), arrived, progress, cancelled)
            self._screen(arrived, allowed.request)
            marked, seconds = self._mark_pictures(arrived, media_id, work, Told(progress, cancelled))
            progress("sign", 0.0)
            facts = self._made_elsewhere(allowed, arrived, marked, seconds)
            tenant = allowed.request.tenant
            return self.issue(marked, facts, tenant=tenant, register=register, cancelled=cancelled)

    def admit(self, request: Request) -> Allowed:
        """The guard's answer and the price, before anything is sent."""
        read = self.read or reader(self.limits)
        allowed = admit(
            request, self.api.spec, self.guard, read=read, randbelow=self.randbelow, hear=self.hear
        )
        price = self.cost(allowed.request).dollars
        if self.max_dollars is not None and price > self.max_dollars:
            raise RequestError(
                f"seconds: costs {price:g} dollars, more than the {self.max_dollars:g} that are allowed"
            )
        return allowed

    def cost(self, request: Request) -> Cost:
        """The list price of a completed request."""
        return self.api.cost(request)

    def _have_made(self, asked: Asked, target: Path, progress: Progress, cancelled: CancelRequested) -> None:
        stop_if(cancelled)
        ends = self.clock_seconds() + self.deadline
        task = self.api.submit(asked)
        try:
            answer = self._wait(task, ends, progress, cancelled)
        except (Cancelled, HostedTimeoutError):
            self.api.cancel(task)
            raise
        self.api.fetch(answer.location, target)

    def _wait(self, task: str, ends: float, progress: Progress, cancelled: CancelRequested) -> Answer:
        while True:
            stop_if(cancelled)
            answer = self.api.poll(task)
            progress("sample", min(1.0, max(0.0, answer.progress)))
            if answer.state is State.DONE:
                return answer
            if self.clock_seconds() >= ends:
                raise HostedTimeoutError(f"task {task} took longer than {self.deadline:g} s")
            self.sleep(self.poll_seconds)

    def _screen(self, arrived: Path, request: Request) -> None:
        """Output rules and quality rules, over frames of what the provider sent."""
        media = open_media(arrived, self.limits)
        stride = max(1, media.frame_count // _CHECKED_FRAMES)
        frames = np.stack(list(islice(media.frames(stride), _CHECKED_FRAMES + 1)) or _nothing())
        check_quality(frames, self.quality)
        enforce_output(frames, request, self.guard)

    def _made_elsewhere(
        self, allowed: Allowed, arrived: Path, marked: MarkedMedia, seconds: float
    ) -> ManifestFacts:
        """The provider's file is the parent, with its own manifest where it has one; the references went
        in.
        """
        request, spec = allowed.request, self.api.spec
        return ManifestFacts(
            title=request.title or f"{marked.mark.media_id.hex}.mp4",
            mime=marked.mime,
            media_id=marked.mark.media_id,
            created_at=self.clock(),
            generator=Agent(PRODUCT, version(PRODUCT)),
            model=Model(spec.name, spec.source, kind="c2pa.types.model"),
            policy=policy_ref(allowed.decisions[0]),
            decision_id=allowed.decisions[0].decision_id,
            digests={
                "prompt": prompt_digest(request.prompt, self.prompt_key),
                "parameters": parameters_digest(self._parameters(request)),
                "source": file_digest(arrived),
            },
            span_ms=round(1000 * seconds) or None,
            inputs=inputs_of(allowed.references, self.detector),
            parent=Input(arrived, mime_of(arrived), f"{spec.name} output", Role.COMPONENT),
            source_type=SourceType.TRAINED_ALGORITHMIC,
            **sound_algs(marked),
        )

    def _parameters(self, request: Request) -> dict[str, object]:
        return {
            "system": self.api.spec.name,
            "provider": self.api.spec.provider,
            "model": self.api.spec.source,
            "width": request.width,
            "height": request.height,
            "frames": request.frames,
            "fps": request.fps,
            "seed": request.seed,
        }


def _nothing() -> list[np.ndarray]:
    raise HostedError("the provider's file holds no picture")
