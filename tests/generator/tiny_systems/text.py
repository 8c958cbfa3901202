"""Tokenizers that know every byte and no word, and text encoders of a few thousand random weights."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLTextModel,
    SiglipVisionConfig,
    T5Config,
    T5EncoderModel,
)

VOCABULARY = 300  # 256 bytes, three marks, and room
_CHAT = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


def byte_tokenizer(length: int = 77) -> PreTrainedTokenizerFast:
    alphabet = sorted(ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=length,
        chat_template=_CHAT,
    )


def t5() -> T5EncoderModel:
    config = T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0
    )
    return T5EncoderModel(config).eval()


def _clip_config(width: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        projection_dim=32,
    )


def clip_text(width: int = 32) -> CLIPTextModel:
    return CLIPTextModel(_clip_config(width)).eval()


def clip_text_projected(width: int = 32) -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(_clip_config(width)).eval()


def llama() -> LlamaModel:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_attention_heads=2,
        num_hidden_layers=2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaModel(config).eval()


def gemma() -> Gemma2Model:
    config = Gemma2Config(
        vocab_size=VOCABULARY,
        head_dim=16,
        hidden_size=8,
        intermediate_size=32,
        num_attention_heads=2,
        num_hidden_layers=1,
        num_key_value_heads=2,
        attn_implementation="eager",
    )
    return Gemma2Model(config).eval()


def gemma3() -> Gemma3ForConditionalGeneration:
    """Gemma 3 with eyes that nobody asks to see."""
    text = Gemma3TextConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    config = Gemma3Config(text_config=text, vision_config=siglip_config(), mm_tokens_per_image=4)
    return Gemma3ForConditionalGeneration(config).eval()


def siglip_config() -> SiglipVisionConfig:
    return SiglipVisionConfig(
        hidden_size=32,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )


def qwen(whole: bool = False) -> Any:
    """Qwen2.5-VL: its text half, or the whole with eyes."""
    text = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"},
    }
    if not whole:
        return Qwen2_5_VLTextModel(Qwen2_5_VLTextConfig(**text)).eval()
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        hidden_size=16,
        vocab_size=VOCABULARY,
        vision_start_token_id=297,
        vision_end_token_id=298,
        vision_token_id=299,
        image_token_id=296,
        video_token_id=295,
    )
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def clip_vision(width: int = 32) -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=224,
        intermediate_size=16,
        patch_size=112,
    )
    return CLIPVisionModelWithProjection(config).eval()


def clip_pixels() -> CLIPImageProcessor:
    return CLIPImageProcessor()
