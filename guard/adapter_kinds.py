"""What an adapter file is, by the names and shapes of its tensors; never by its name.

The names are those that diffusers, kohya-ss/sd-scripts, ComfyUI and the original repositories write.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

Shapes = Mapping[str, tuple[int, ...]]


class AdapterKind(StrEnum):
    """The kinds that are told apart."""

    LORA = "lora"  # with its relatives LoHa, LoKr, OFT, DoRA
    TEXTUAL_INVERSION = "textual-inversion"
    IP_ADAPTER = "ip-adapter"
    CONTROLNET = "controlnet"
    CHECKPOINT = "checkpoint"  # whole weights of a model, merged or not
    PERSON_VECTORS = "person-vectors"  # embeddings of faces or pictures, computed elsewhere
    UNKNOWN = "unknown"


_LORA = ("lora_down", "lora_up", "lora_a.", "lora_b.", ".lora.", "lora_linear_layer", "hada_w", "lokr_w",
         "oft_blocks", "oft_diag", "dora_scale")  # fmt: skip
_IP_ADAPTER = ("to_k_ip", "to_v_ip", "image_proj.", "image_proj_model.", "ip_adapter.", "id_encoder.")
_CONTROLNET = ("controlnet_cond_embedding", "controlnet_down_blocks", "controlnet_mid_block",
               "controlnet_blocks", "controlnet_x_embedder", "control_model.", "input_hint_block",
               "zero_convs.")  # fmt: skip
_CHECKPOINT = ("diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.", "down_blocks.",
               "up_blocks.", "double_blocks.", "single_blocks.", "transformer_blocks.", "joint_blocks.",
               "blocks.0.", "text_model.encoder.", "decoder.up")  # fmt: skip
_VECTORS = ("face", "id_embed", "image_embed", "arcface", "insightface", "ip_adapter_image_embeds")
_INVERSION = ("emb_params", "clip_l", "clip_g", "t5", "string_to_param", "<")
_TEXT_WIDTHS = frozenset({768, 1024, 1280, 2048, 4096})  # of the text encoders of image and video models
_FACE_WIDTHS = frozenset({128, 512})  # of face recognisers; no text encoder in use has them
_FEW = 8  # tensors; more is a network


def adapter_kind(shapes: Shapes) -> AdapterKind:
    """Returns what a file with these tensors is."""
    names = [name.lower() for name in shapes]
    if _any(names, _LORA):
        return AdapterKind.LORA
    if len(names) <= _FEW and (kind := _kind_of_few(shapes)):
        return kind
    for kind, marks in (
        (AdapterKind.IP_ADAPTER, _IP_ADAPTER),
        (AdapterKind.CONTROLNET, _CONTROLNET),
        (AdapterKind.CHECKPOINT, _CHECKPOINT),
    ):
        if _any(names, marks):
            return kind
    return AdapterKind.UNKNOWN


def _kind_of_few(shapes: Shapes) -> AdapterKind | None:
    """Returns the kind of a file that holds rows of numbers and no network."""
    if not all(0 < len(shape) <= 4 for shape in shapes.values()):
        return None
    names = [name.lower() for name in shapes]
    if _any(names, _VECTORS) or all(shape[-1] in _FACE_WIDTHS for shape in shapes.values()):
        return AdapterKind.PERSON_VECTORS
    flat = all(len(shape) <= 2 and shape[-1] in _TEXT_WIDTHS for shape in shapes.values())
    return AdapterKind.TEXTUAL_INVERSION if flat and any(n.startswith(_INVERSION) for n in names) else None


def _any(names: list[str], marks: tuple[str, ...]) -> bool:
    return any(mark in name for name in names for mark in marks)
