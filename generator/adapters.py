"""Adapters (LoRA): read by the guard, loaded from the very bytes that it has read, and named in the record.

No other way leads in: a run on a pipeline that carries an adapter which did not come through here is refused.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch

from generator.errors import LeakError, LoadError
from guard import Adapter, Guard, GuardRequest, Stage, Text, read_adapter
from guard.adapter_kinds import AdapterKind


@dataclass(frozen=True, slots=True)
class LoadedAdapter:
    """An adapter in a pipeline: `name` there, `sha256` (hexadecimal) of its file, `weight` it acts with."""

    name: str
    sha256: str
    weight: float
    decision_id: str


def load_adapter(
    pipeline: Any,
    path: Path,
    guard: Guard,
    *,
    beside: tuple[LoadedAdapter, ...] = (),
    title: str = "",
    weight: float = 1.0,
    tenant: str = "default",
    consents: tuple[str, ...] = (),
) -> LoadedAdapter:
    """Put the LoRA at `path` before the guard and load it into `pipeline` at `weight`, beside those that are
    there.

    The guard reads its name and metadata; a file that is no sound safetensors file raises `AdapterError`, one
    that the policy refuses `PolicyViolation`. `consents` are tokens for the person whom it draws. Raises
    `LoadError` when the pipeline cannot take it, or when the file changed after the guard read it.
    """
    adapter = read_adapter(path, consents=consents)
    named = (Text("adapter_title", title or path.name),)
    decision = guard.enforce(GuardRequest(Stage.ADAPTER, named, adapters=(adapter,), tenant=tenant))
    name = put_in(pipeline, path, adapter, beside=beside, weight=weight)
    return LoadedAdapter(name, adapter.sha256, weight, decision.decision_id)


def put_in(
    pipeline: Any, path: Path, adapter: Adapter, *, beside: tuple[LoadedAdapter, ...], weight: float
) -> str:
    """Load the LoRA at `path`, which was read as `adapter`, into `pipeline`; returns its name there.

    Raises `LoadError`.
    """
    if adapter.kind is not AdapterKind.LORA:
        raise LoadError(f"{path.name} is {adapter.kind.value}, and only lora files are loaded into a system")
    weights = _weights(path, adapter)
    name = f"assay_{adapter.sha256[:16]}"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several are meant
            pipeline.load_lora_weights(weights, adapter_name=name)
        pipeline.set_adapters([*(a.name for a in beside), name], [*(a.weight for a in beside), weight])
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError) as error:
        raise LoadError(f"{path.name}: the pipeline does not take this adapter: {error}") from error
    if name not in set(present(pipeline)):
        raise LoadError(f"{path.name}: none of its tensors fits this pipeline")
    return name


def refuse_unknown(pipeline: Any, known: tuple[LoadedAdapter, ...]) -> None:
    """Raise `LeakError` when `pipeline` carries an adapter that no guard has read."""
    foreign = sorted(set(present(pipeline)) - {adapter.name for adapter in known})
    if foreign:
        raise LeakError(
            f"the pipeline carries adapters that the guard has not read: {', '.join(foreign)}; "
            "load them with System.load_adapter"
        )


def present(pipeline: Any) -> Iterator[str]:
    """The names of all adapters in any component, active or not."""
    for component in pipeline.components.values():
        yield from getattr(component, "peft_config", None) or ()


def _weights(path: Path, adapter: Adapter) -> dict[str, Any]:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != adapter.sha256:
        raise LoadError(f"{path.name}: the file changed while it was read")
    return dict(safetensors.torch.load(content))
