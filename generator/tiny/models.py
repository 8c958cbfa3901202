"""The parts of the embedded generator: diffusers and transformers classes in tiny configurations."""

from __future__ import annotations

from typing import Final

from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from generator.tiny.captions import all_words
from generator.tiny.latents import CHANNELS

TEXT_TOKENS: Final = 40  # prompt length in training and in the pipeline; a full caption has about 30 words
TEXT_WIDTH: Final = 128
PATCH: Final = (1, 30, 1)  # latent cells per token: one column of 480 x 16 pixels
PAD, EOS, UNKNOWN = "<pad>", "</s>", "<unk>"


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token per known word, lower case; any other word is <unk>, which training also shows."""
    words = [PAD, EOS, UNKNOWN, *all_words()]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {EOS}", special_tokens=[(EOS, 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        model_max_length=TEXT_TOKENS,
    )


def build_text_encoder(vocabulary: int) -> UMT5EncoderModel:
    """Two layers, 128 wide; learned together with the transformer."""
    config = UMT5Config(
        vocab_size=vocabulary,
        d_model=TEXT_WIDTH,
        d_kv=32,
        d_ff=256,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        pad_token_id=0,
        eos_token_id=1,
    )
    return UMT5EncoderModel(config)


def build_transformer(width: int = 192, layers: int = 7) -> WanTransformer3DModel:
    """The denoiser; heads of 48 split evenly over the three axes of the rotary embedding."""
    return WanTransformer3DModel(
        patch_size=PATCH,
        num_attention_heads=width // 48,
        attention_head_dim=48,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        text_dim=TEXT_WIDTH,
        freq_dim=128,
        ffn_dim=3 * width,
        num_layers=layers,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=256,
    )


def build_vae() -> AutoencoderKLWan:
    """16 x 16 x 4 compression; the last 4 x 4 pixels are unshuffled from channels.

    The encoder is as small as the class allows, as nothing trains it; the widths of the decoder's stages, 96,
    64 and 48, are those that `frame_decoder.install` needs.
    """
    return AutoencoderKLWan(
        base_dim=4,
        decoder_base_dim=16,
        z_dim=CHANNELS,
        dim_mult=[3, 4, 6],
        num_res_blocks=1,
        attn_scales=[],
        temperal_downsample=[True, True],
        in_channels=48,
        out_channels=48,
        patch_size=4,
        scale_factor_spatial=16,
        scale_factor_temporal=4,
        is_residual=False,
        latents_mean=[0.0] * CHANNELS,
        latents_std=[1.0] * CHANNELS,
    )


def build_scheduler(shift: float = 5.0) -> UniPCMultistepScheduler:
    """Flow matching; the transformer predicts the clean latents, not the velocity."""
    return UniPCMultistepScheduler(prediction_type="sample", use_flow_sigmas=True, flow_shift=shift)


def build_pipeline(
    vae: AutoencoderKLWan, transformer: WanTransformer3DModel, text_encoder: UMT5EncoderModel
) -> WanPipeline:
    """The parts as one pipeline, ready for `save_pretrained`."""
    return WanPipeline(
        tokenizer=build_tokenizer(),
        text_encoder=text_encoder,
        vae=vae,
        scheduler=build_scheduler(),
        transformer=transformer,
    )
