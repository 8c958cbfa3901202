"""The Wan family: one VAE, one text encoder, transformers for text, image, video and controls."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLWan,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeliosPipeline,
    HeliosScheduler,
    HeliosTransformer3DModel,
    SanaVideoPipeline,
    SanaVideoTransformer3DModel,
    SkyReelsV2Pipeline,
    SkyReelsV2Transformer3DModel,
    UniPCMultistepScheduler,
    WanAnimatePipeline,
    WanAnimateTransformer3DModel,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
    WanVACEPipeline,
    WanVACETransformer3DModel,
    WanVideoToVideoPipeline,
)

from tests.generator.tiny_systems.text import byte_tokenizer, clip_pixels, clip_vision, gemma, t5

LATENTS = 4


def wan_vae(latents: int = LATENTS) -> AutoencoderKLWan:
    return AutoencoderKLWan(
        base_dim=4,
        z_dim=latents,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * latents,
        latents_std=[1.0] * latents,
    ).eval()


def _transformer(kind: type[Any] = WanTransformer3DModel, **options: Any) -> Any:
    shape = {
        "patch_size": (1, 2, 2),
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "in_channels": LATENTS,
        "out_channels": LATENTS,
        "text_dim": 32,
        "freq_dim": 16,
        "ffn_dim": 32,
        "num_layers": 1,
        "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads",
        "rope_max_seq_len": 64,
    }
    return kind(**shape | options).eval()


def _parts(**others: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    return {
        "tokenizer": byte_tokenizer(512),
        "text_encoder": t5(),
        "vae": wan_vae(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0),
        **others,
    }


def wan() -> WanPipeline:
    return WanPipeline(**_parts(transformer=_transformer()))


def wan_two_experts() -> WanPipeline:
    """Wan 2.2: one transformer for the noisy half of the steps, another for the rest."""
    return WanPipeline(
        **_parts(transformer=_transformer(), transformer_2=_transformer()), boundary_ratio=0.875
    )


def wan_image_to_video() -> WanImageToVideoPipeline:
    transformer = _transformer(in_channels=2 * LATENTS + 4, image_dim=8)
    eyes = {"image_encoder": clip_vision(8), "image_processor": clip_pixels()}
    return WanImageToVideoPipeline(**_parts(transformer=transformer), **eyes)


def wan_video_to_video() -> WanVideoToVideoPipeline:
    return WanVideoToVideoPipeline(
        **_parts(transformer=_transformer(), scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ))
    )  # fmt: skip


def wan_vace() -> WanVACEPipeline:
    transformer = _transformer(
        WanVACETransformer3DModel, num_layers=2, vace_layers=[0], vace_in_channels=2 * LATENTS + 64
    )
    return WanVACEPipeline(**_parts(transformer=transformer))


def wan_animate() -> WanAnimatePipeline:
    """Segments, each conditioned on the decoded end of the one before: marked after assembly."""
    transformer = _transformer(
        WanAnimateTransformer3DModel,
        in_channels=2 * LATENTS + 4,
        latent_channels=LATENTS,
        image_dim=8,
        motion_encoder_channel_sizes={str(2**side): 8 for side in range(2, 7)},
        motion_encoder_size=64,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=8,
        face_encoder_hidden_dim=8,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=1,
        motion_encoder_batch_size=4,
    )
    eyes = {"image_encoder": clip_vision(8), "image_processor": clip_pixels()}
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    return WanAnimatePipeline(**_parts(transformer=transformer, scheduler=scheduler), **eyes)


def wan_residual() -> WanPipeline:
    """Wan 2.2 5B: a decoder with shortcuts that makes patches of 2 x 2 pixels, 16 to a latent."""
    vae = AutoencoderKLWan(
        base_dim=4,
        decoder_base_dim=8,
        z_dim=LATENTS,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * LATENTS,
        latents_std=[1.0] * LATENTS,
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
    )
    parts = _parts(transformer=_transformer())
    return WanPipeline(**{**parts, "vae": vae.eval()}, expand_timesteps=True)


def helios() -> HeliosPipeline:
    """Chunks after one another, each decoded by itself."""
    torch.manual_seed(0)
    transformer = HeliosTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=LATENTS,
        out_channels=LATENTS,
        text_dim=32,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        rope_dim=(4, 4, 4),
    )
    scheduler = HeliosScheduler(stages=1, stage_range=[0, 1], use_dynamic_shifting=True)
    return HeliosPipeline(**_parts(transformer=transformer.eval(), scheduler=scheduler))


def skyreels() -> SkyReelsV2Pipeline:
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=8.0
    )
    transformer = _transformer(SkyReelsV2Transformer3DModel)
    return SkyReelsV2Pipeline(**_parts(transformer=transformer, scheduler=scheduler))


def sana_video() -> SanaVideoPipeline:
    torch.manual_seed(0)
    transformer = SanaVideoTransformer3DModel(
        in_channels=16,
        out_channels=16,
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=1,
        num_cross_attention_heads=2,
        cross_attention_head_dim=12,
        cross_attention_dim=24,
        caption_channels=8,
        sample_size=8,
        patch_size=(1, 2, 2),
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=64,
    )
    return SanaVideoPipeline(
        tokenizer=byte_tokenizer(512),
        text_encoder=gemma(),
        transformer=transformer.eval(),
        vae=wan_vae(16),
        scheduler=DPMSolverMultistepScheduler(),
    )
