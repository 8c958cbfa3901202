"""Stable Diffusion 1.5, XL and 3, Flux and Qwen-Image."""

from __future__ import annotations

from typing import Any, Final

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxImg2ImgPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)

from tests.generator.tiny_systems.text import byte_tokenizer, clip_text, clip_text_projected, qwen, t5

_SHIFTED: Final[dict[str, Any]] = {
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "shift_factor": 0.06,
    "scaling_factor": 1.5,
}


def image_vae(latents: int = 4, **options: Any) -> AutoencoderKL:
    return AutoencoderKL(
        latent_channels=latents,
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=128,  # pixels of a tile
        **options,
    ).eval()


def _unet(**options: Any) -> UNet2DConditionModel:
    shape = {
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "sample_size": 32,
        "norm_num_groups": 4,
        "cross_attention_dim": 32,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 2,
    }
    return UNet2DConditionModel(**shape | options).eval()


def _sd_parts() -> dict[str, Any]:
    torch.manual_seed(0)
    return {
        "vae": image_vae(),
        "text_encoder": clip_text(),
        "tokenizer": byte_tokenizer(),
        "unet": _unet(),
        "scheduler": DDIMScheduler(steps_offset=1, clip_sample=False),
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }


def stable_diffusion() -> StableDiffusionPipeline:
    return StableDiffusionPipeline(**_sd_parts())


def stable_diffusion_image_to_image() -> StableDiffusionImg2ImgPipeline:
    return StableDiffusionImg2ImgPipeline(**_sd_parts())


def _xl_parts() -> dict[str, Any]:
    torch.manual_seed(0)
    unet = _unet(
        cross_attention_dim=64,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=80,
    )
    return {
        "vae": image_vae(),
        "unet": unet,
        "text_encoder": clip_text(),
        "tokenizer": byte_tokenizer(),
        "text_encoder_2": clip_text_projected(),
        "tokenizer_2": byte_tokenizer(),
        "scheduler": EulerDiscreteScheduler(steps_offset=1, timestep_spacing="leading"),
        "add_watermarker": False,
    }


def stable_diffusion_xl() -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(**_xl_parts())


def stable_diffusion_xl_image_to_image() -> StableDiffusionXLImg2ImgPipeline:
    return StableDiffusionXLImg2ImgPipeline(**_xl_parts())


def _sd3_parts() -> dict[str, Any]:
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=64,
        pooled_projection_dim=64,
        out_channels=4,
    )
    return {
        "transformer": transformer.eval(),
        "vae": image_vae(**_SHIFTED),
        "text_encoder": clip_text_projected(),
        "tokenizer": byte_tokenizer(),
        "text_encoder_2": clip_text_projected(),
        "tokenizer_2": byte_tokenizer(),
        "text_encoder_3": _wide_t5(64),
        "tokenizer_3": byte_tokenizer(256),
        "scheduler": FlowMatchEulerDiscreteScheduler(),
    }


def stable_diffusion_3() -> StableDiffusion3Pipeline:
    return StableDiffusion3Pipeline(**_sd3_parts())


def stable_diffusion_3_image_to_image() -> StableDiffusion3Img2ImgPipeline:
    return StableDiffusion3Img2ImgPipeline(**_sd3_parts())


def _wide_t5(width: int) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=300, d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    return T5EncoderModel(config).eval()


def _flux_parts() -> dict[str, Any]:
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )
    return {
        "transformer": transformer.eval(),
        "vae": image_vae(**_SHIFTED),
        "text_encoder": clip_text(),
        "tokenizer": byte_tokenizer(),
        "text_encoder_2": t5(),
        "tokenizer_2": byte_tokenizer(512),
        "scheduler": FlowMatchEulerDiscreteScheduler(),
    }


def flux() -> FluxPipeline:
    return FluxPipeline(**_flux_parts())


def flux_image_to_image() -> FluxImg2ImgPipeline:
    return FluxImg2ImgPipeline(**_flux_parts())


def qwen_image() -> QwenImagePipeline:
    torch.manual_seed(0)
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    return QwenImagePipeline(
        transformer=transformer.eval(),
        vae=vae.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=qwen(whole=True),
        tokenizer=byte_tokenizer(2048),
    )
