"""CogVideoX, Mochi, HunyuanVideo, Stable Video Diffusion and AnimateDiff."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKLCogVideoX,
    AutoencoderKLHunyuanVideo,
    AutoencoderKLHunyuanVideo15,
    AutoencoderKLMochi,
    AutoencoderKLTemporalDecoder,
    ClassifierFreeGuidance,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    CogVideoXVideoToVideoPipeline,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideo15Pipeline,
    HunyuanVideo15Transformer3DModel,
    HunyuanVideoFramepackPipeline,
    HunyuanVideoFramepackTransformer3DModel,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
    MochiPipeline,
    MochiTransformer3DModel,
    MotionAdapter,
    StableVideoDiffusionPipeline,
    UNet2DConditionModel,
    UNetSpatioTemporalConditionModel,
)
from transformers import SiglipImageProcessor, SiglipVisionModel

from tests.generator.tiny_systems.image import image_vae
from tests.generator.tiny_systems.text import (
    byte_tokenizer,
    clip_pixels,
    clip_text,
    clip_vision,
    llama,
    qwen,
    siglip_config,
    t5,
)


def with_t5(**others: Any) -> dict[str, Any]:
    return {"tokenizer": byte_tokenizer(512), "text_encoder": t5(), **others}


def _cog(latents_in: int) -> dict[str, Any]:
    torch.manual_seed(0)
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=latents_in,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=32,
        num_layers=1,
        sample_width=32,
        sample_height=32,
        sample_frames=5,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=226,
        use_rotary_positional_embeddings=True,
    )
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    scheduler = DDIMScheduler(steps_offset=1, clip_sample=False)
    return with_t5(transformer=transformer.eval(), vae=vae.eval(), scheduler=scheduler)


def cogvideox() -> CogVideoXPipeline:
    return CogVideoXPipeline(**_cog(4))


def cogvideox_image_to_video() -> CogVideoXImageToVideoPipeline:
    return CogVideoXImageToVideoPipeline(**_cog(8))


def cogvideox_video_to_video() -> CogVideoXVideoToVideoPipeline:
    return CogVideoXVideoToVideoPipeline(**_cog(4))


def mochi() -> MochiPipeline:
    torch.manual_seed(0)
    transformer = MochiTransformer3DModel(
        patch_size=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        pooled_projection_dim=16,
        in_channels=12,
        text_embed_dim=32,
        time_embed_dim=4,
        max_sequence_length=256,
    )
    vae = AutoencoderKLMochi(
        latent_channels=12,
        encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        layers_per_block=(1, 1, 1, 1, 1),
    )
    scheduler = FlowMatchEulerDiscreteScheduler()
    return MochiPipeline(**with_t5(transformer=transformer.eval(), vae=vae.eval(), scheduler=scheduler))


def _hunyuan_vae() -> AutoencoderKLHunyuanVideo:
    return AutoencoderKLHunyuanVideo(
        latent_channels=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        mid_block_add_attention=False,
    ).eval()


def _hunyuan(kind: type[Any], **options: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    shape = {
        "in_channels": 4,
        "out_channels": 4,
        "num_attention_heads": 2,
        "attention_head_dim": 10,
        "num_layers": 1,
        "num_single_layers": 1,
        "num_refiner_layers": 1,
        "patch_size": 2,
        "patch_size_t": 1,
        "guidance_embeds": True,
        "text_embed_dim": 16,
        "pooled_projection_dim": 8,
        "rope_axes_dim": (2, 4, 4),
    }
    return {
        "transformer": kind(**shape | options).eval(),
        "vae": _hunyuan_vae(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder": llama(),
        "tokenizer": byte_tokenizer(1024),
        "text_encoder_2": clip_text(8),
        "tokenizer_2": byte_tokenizer(),
    }


def hunyuan() -> HunyuanVideoPipeline:
    return HunyuanVideoPipeline(**_hunyuan(HunyuanVideoTransformer3DModel))


def framepack() -> HunyuanVideoFramepackPipeline:
    """Sections of a clip, decoded one by one and blended into one another: marked after assembly."""
    parts = _hunyuan(
        HunyuanVideoFramepackTransformer3DModel,
        image_condition_type=None,
        has_image_proj=True,
        image_proj_dim=32,
        has_clean_x_embedder=True,
    )
    return HunyuanVideoFramepackPipeline(
        **parts,
        image_encoder=SiglipVisionModel(siglip_config()).eval(),
        feature_extractor=SiglipImageProcessor(size={"height": 32, "width": 32}),
    )


def hunyuan_1_5() -> HunyuanVideo15Pipeline:
    torch.manual_seed(0)
    transformer = HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        patch_size=1,
        patch_size_t=1,
        text_embed_dim=16,
        text_embed_2_dim=32,
        image_embed_dim=12,
        rope_axes_dim=(2, 2, 4),
        target_size=16,
        task_type="t2v",
    )
    vae = AutoencoderKLHunyuanVideo15(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8, 8),
        layers_per_block=1,
        spatial_compression_ratio=16,
        temporal_compression_ratio=4,
        downsample_match_channel=False,
        upsample_match_channel=False,
    )
    return HunyuanVideo15Pipeline(
        transformer=transformer.eval(),
        vae=vae.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder=qwen(),
        tokenizer=byte_tokenizer(2048),
        text_encoder_2=t5(),
        tokenizer_2=byte_tokenizer(256),
        guider=ClassifierFreeGuidance(guidance_scale=1.0),
    )


def stable_video_diffusion() -> StableVideoDiffusionPipeline:
    torch.manual_seed(0)
    unet = UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 32),
        layers_per_block=1,
        sample_size=32,
        in_channels=8,
        out_channels=4,
        down_block_types=("DownBlockSpatioTemporal",) * 2,
        up_block_types=("UpBlockSpatioTemporal",) * 2,
        cross_attention_dim=32,
        num_attention_heads=2,
        projection_class_embeddings_input_dim=96,
        addition_time_embed_dim=32,
    )
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
    )
    scheduler = EulerDiscreteScheduler(
        prediction_type="v_prediction",
        sigma_max=700.0,
        sigma_min=0.002,
        steps_offset=1,
        timestep_type="continuous",
        use_karras_sigmas=True,
    )
    return StableVideoDiffusionPipeline(
        unet=unet.eval(),
        vae=vae.eval(),
        scheduler=scheduler,
        image_encoder=clip_vision(),
        feature_extractor=clip_pixels(),
    )


def animatediff() -> AnimateDiffPipeline:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 8),
        layers_per_block=1,
        sample_size=32,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        norm_num_groups=2,
        attention_head_dim=4,
    )
    adapter = MotionAdapter(
        block_out_channels=(8, 8),
        motion_layers_per_block=1,
        motion_norm_num_groups=2,
        motion_num_attention_heads=2,
    )
    return AnimateDiffPipeline(
        unet=unet.eval(),
        motion_adapter=adapter.eval(),
        vae=image_vae(),
        text_encoder=clip_text(),
        tokenizer=byte_tokenizer(),
        scheduler=DDIMScheduler(beta_schedule="linear", clip_sample=False, steps_offset=1),
    )
