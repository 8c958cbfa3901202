"""What a manifest says of a file that was made here, put together from the stages."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from typing import Final, TypedDict

import torch

from generator.confirm import MarkedMedia
from generator.digests import file_digest, parameters_digest, prompt_digest
from generator.load import System
from generator.request import MediaFormat, MediaKind, Request
from generator.screen import ScreenedFrames
from guard import Decision
from provenance import Agent, Input, ManifestFacts, Model, PolicyRef
from provenance.manifest import SOFT_BINDING_ALG, SOUND_BINDING_ALG

PRODUCT: Final = "assay"


def made_here(
    screened: ScreenedFrames,
    marked: MarkedMedia,
    system: System,
    *,
    inputs: tuple[Input, ...],
    prompt_key: bytes,
    now: datetime,
) -> ManifestFacts:
    """The facts of a generated file: model, policy, digests of prompt, parameters and of the file before it
    is signed, the marks it carries, references as inputs."""
    allowed, media_id = screened.marked.allowed, marked.mark.media_id
    request, wanted = allowed.request, allowed.request.format or MediaFormat.MP4
    clip_ms = (
        round(1000 * (request.frames or 1) / request.fps)
        if request.fps and wanted.kind is MediaKind.VIDEO
        else None
    )
    return ManifestFacts(
        title=request.title or f"{media_id.hex}{wanted.suffix}",
        mime=wanted.mime,
        media_id=media_id,
        created_at=now,
        generator=Agent(PRODUCT, version(PRODUCT)),
        model=Model(system.spec.name, system.digest, _identifier(system)),
        policy=policy_ref(allowed.decisions[0]),
        decision_id=allowed.decisions[0].decision_id,
        digests={
            "prompt": prompt_digest(request.prompt, prompt_key),
            "parameters": parameters_digest(parameters(request, system)),
            "model": system.digest,
            "encoded": file_digest(marked.path),
        },
        span_ms=clip_ms,
        inputs=inputs,
        **sound_algs(marked),
    )


def parameters(request: Request, system: System) -> Mapping[str, object]:
    """All that it takes, beside the prompts and references, to make the same pictures again: plain JSON
    values."""
    scheduler = system.pipeline.scheduler
    return {
        "system": system.spec.name,
        "pipeline": type(system.pipeline).__name__,
        "weights": system.digest,
        "adapters": [[adapter.sha256, adapter.weight] for adapter in system.adapters],
        "scheduler": type(scheduler).__name__,
        "width": request.width,
        "height": request.height,
        "frames": request.frames,
        "fps": request.fps,
        "seed": request.seed,
        "steps": request.steps,
        "guidance": request.guidance,
        "second_pass": asdict(system.spec.second_pass) if system.spec.second_pass else None,
        "format": request.format,
        "codec": request.codec,
        "device": str(system.pipeline.device),
        "dtype": str(system.pipeline.dtype),
        "torch": torch.__version__,
        "diffusers": version("diffusers"),
        "transformers": version("transformers"),
        "machine": platform.machine(),
        "threads": torch.get_num_threads() if system.pipeline.device.type == "cpu" else None,
    }


class SoundAlgs(TypedDict):
    """The fields of `ManifestFacts` that name the marks of a file."""

    soft_binding_alg: str
    sound_binding_alg: str | None


def sound_algs(marked: MarkedMedia) -> SoundAlgs:
    """The names of the marks that a file carries: in the picture, in its sound track, in a sound file."""
    if marked.mime.startswith("audio/"):
        return {"soft_binding_alg": SOUND_BINDING_ALG, "sound_binding_alg": None}
    return {
        "soft_binding_alg": SOFT_BINDING_ALG,
        "sound_binding_alg": SOUND_BINDING_ALG if marked.sound else None,
    }


def policy_ref(decision: Decision) -> PolicyRef:
    """The policy of a decision, as manifest and record name it."""
    name, _, number = decision.policy.partition("@")
    return PolicyRef(name, number, decision.policy_digest)


def _identifier(system: System) -> str | None:
    return f"pkg:huggingface/{system.spec.source}" if "/" in system.spec.source else None
