"""Load any system through `DiffusionPipeline.from_pretrained`, and refuse one whose pictures the mark
cannot reach."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch

from generator.adapters import LoadedAdapter, load_adapter, refuse_unknown
from generator.convolutions import quicken
from generator.errors import LeakError, LoadError
from generator.second_decoder import install_decoder
from generator.systems import EMBEDDED, Seam, SystemSpec, system_for_pipeline, system_named
from generator.tiny import TinyError, weights_folder
from guard import Guard

LEAKING_OPTIONS: Final = {
    "output_type": "it decides whether the decoder runs at all",
    "return_dict": "it changes what the pipeline hands back",
    "callback": "it sees latents before they are marked",
    "callback_on_step_end": "it sees latents before they are marked",
    "callback_on_step_end_tensor_inputs": "it exposes latents before they are marked",
    "num_images_per_prompt": "two pictures would carry one id",
    "num_videos_per_prompt": "two clips would carry one id",
    "generator": "the seed belongs to the request",
    "latents": "the seed belongs to the request",
}
"""Arguments of a pipeline call that only `generator.sample` may set, each with the reason."""

_DENOISERS: Final = ("transformer", "transformer_2", "unet")
_WEIGHTS: Final = (".safetensors", ".json", ".model", ".txt")
_BLOB_NAME: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """A loaded pipeline with its row. `digest` names the weights: `sha256:` and 64 hex digits.

    A diffusers pipeline holds the state of the call in itself, so `lock` lets one run in at a time. With
    `offload` a model is on the `device` for as long as it computes, and else in the memory of the host.
    """

    spec: SystemSpec
    pipeline: Any
    digest: str
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    adapters: tuple[LoadedAdapter, ...] = ()
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    offload: bool = False

    def __post_init__(self) -> None:
        refuse_leaks(self.pipeline, self.spec)
        refuse_unknown(self.pipeline, self.adapters)

    def load_adapter(
        self,
        path: Path,
        guard: Guard,
        *,
        title: str = "",
        weight: float = 1.0,
        tenant: str = "default",
        consents: tuple[str, ...] = (),
    ) -> System:
        """This system with one adapter more, which the guard has read. The old one is of no use any more.

        Raises `AdapterError`, `PolicyViolation` or `LoadError`.
        """
        with self.lock:
            loaded = load_adapter(
                self.pipeline,
                path,
                guard,
                beside=self.adapters,
                title=title,
                weight=weight,
                tenant=tenant,
                consents=consents,
            )
            return replace(self, adapters=(*self.adapters, loaded))


def load_system(
    name_or_folder: str | Path = EMBEDDED,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    offload: bool = False,
    download: bool = False,
) -> System:
    """The system of this name, or the pipeline that `save_pretrained` wrote into this folder.

    With `offload` each of its models is on `device` only while it computes: systems larger than the device,
    at the cost of time. Nothing is fetched unless `download` is True. Weights are read from safetensors
    only, no code from a model repository is run.

    Raises `LoadError` when name, folder or files are wrong, `LeakError` when the pipeline could let an
    unmarked picture out.
    """
    spec, folder = _locate(name_or_folder, download=download)
    try:
        pipeline = _diffusers().from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True
        )
        if spec.decoder:
            install_decoder(pipeline.vae, folder, spec.decoder, dtype)
        pipeline.enable_model_cpu_offload(device=device) if offload else pipeline.to(device)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError) as error:
        raise LoadError(f"{folder}: the pipeline does not load: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    for _, decoder in decoders(pipeline):
        quicken(decoder)
    return System(spec, pipeline, weights_digest(folder), device=torch.device(device), offload=offload)


def compile_system(system: System) -> None:
    """Compile what is slow, in place: the denoiser, and the network inside the decoder.

    `decode` itself stays what it is. Compiling it before the mark is in place would bake an unmarked decode
    in.
    """
    for name in _DENOISERS:
        module = getattr(system.pipeline, name, None)
        if module is not None:
            module.compile()
    for _, decoder in decoders(system.pipeline):
        network = getattr(decoder, "decoder", None)
        if network is not None:
            network.compile()


def refuse_leaks(pipeline: Any, spec: SystemSpec) -> None:
    """Raise `LeakError` when a picture could leave this pipeline without passing the seam where the mark
    goes in."""
    for option in spec.options:
        if option in LEAKING_OPTIONS:
            raise LeakError(f"{spec.name}: the option {option} is not allowed: {LEAKING_OPTIONS[option]}")
    found = False
    for name, decoder in decoders(pipeline):
        found = True
        _refuse_shadowed(f"{spec.name}: {name}", decoder, "decode")
    if not found:
        raise LeakError(f"{spec.name}: {type(pipeline).__name__} has no decoder that the mark could go into")
    if spec.seam is Seam.ASSEMBLED:
        processor = getattr(pipeline, "video_processor", None)
        if processor is None:
            raise LeakError(f"{spec.name}: {type(pipeline).__name__} has no video_processor to mark in")
        _refuse_shadowed(f"{spec.name}: video_processor", processor, "postprocess_video")


def _refuse_shadowed(where: str, owner: Any, method: str) -> None:
    # A class swap cannot reach an attribute of the instance, so the mark would be skipped without a word.
    if method in vars(owner):
        raise LeakError(
            f"{where}.{method} was replaced on the instance (torch.compile does that), which hides the mark; "
            "load the pipeline afresh and use generator.load.compile_system"
        )


def decoders(pipeline: Any) -> Iterator[tuple[str, Any]]:
    """Every component that turns latents into pictures, with its name. A wholly compiled one is a
    `LeakError`."""
    for name, component in pipeline.components.items():
        if not isinstance(component, torch.nn.Module) or not callable(getattr(component, "decode", None)):
            continue
        if isinstance(component, torch._dynamo.OptimizedModule):
            raise LeakError(
                f"{name} is compiled as a whole; load it plain and use generator.load.compile_system"
            )
        if name != "audio_vae":
            yield name, component


def weights_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of the files that a pipeline is loaded from.

    In a Hugging Face cache a large file is a link to a blob that is named by its own SHA-256, so it is not
    read again.
    """
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _WEIGHTS and path.is_file():
            whole.update(f"{path.relative_to(folder).as_posix()}\0{_file_digest(path)}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _file_digest(path: Path) -> str:
    blob = path.resolve().name
    if path.is_symlink() and _BLOB_NAME.fullmatch(blob):
        return blob
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _diffusers() -> Any:
    """The class that loads any pipeline. Imported late: it takes seconds, and who verifies never needs it."""
    from diffusers import DiffusionPipeline

    return DiffusionPipeline


def _locate(name_or_folder: str | Path, *, download: bool) -> tuple[SystemSpec, Path]:
    folder = Path(name_or_folder)
    if (folder / "model_index.json").is_file():
        return _spec_of_folder(folder), folder
    if isinstance(name_or_folder, Path) or folder.is_dir():
        raise LoadError(f"{folder}: no model_index.json there; give a folder that save_pretrained wrote")
    spec = system_named(str(name_or_folder))
    if spec.name == EMBEDDED:
        return _embedded(spec)
    if not spec.source:
        raise LoadError(
            f"{spec.name} has no published repository of its own; save it to a folder and give that"
        )
    return spec, _snapshot(spec, download=download)


def _spec_of_folder(folder: Path) -> SystemSpec:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        pipeline = str(index["_class_name"])
    except (ValueError, KeyError, TypeError) as error:
        raise LoadError(f"{folder}/model_index.json: not a pipeline description: {error}") from error
    spec = system_for_pipeline(pipeline, {path.name for path in folder.iterdir()})
    return replace(spec, name=folder.name, source=str(folder))


def _embedded(spec: SystemSpec) -> tuple[SystemSpec, Path]:
    try:
        return spec, weights_folder()
    except TinyError as error:
        raise LoadError(f"{spec.name}: {error}") from error


def _snapshot(spec: SystemSpec, *, download: bool) -> Path:
    from huggingface_hub import snapshot_download

    local = not download
    try:
        if spec.decoder:  # no component of the pipeline, so diffusers leaves it behind
            files = [f"{spec.decoder}/*.json", f"{spec.decoder}/*.safetensors"]
            snapshot_download(spec.source, allow_patterns=files, local_files_only=local)
        return Path(_diffusers().download(spec.source, local_files_only=local, use_safetensors=True))
    except (OSError, ValueError) as error:
        remedy = "check the network and your access" if download else "allow the download, or give a folder"
        raise LoadError(f"{spec.name}: {spec.source} is not on this machine; {remedy}: {error}") from error
