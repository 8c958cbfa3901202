"""LTX-Video, its long form, and LTX-2, which makes sound as well."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    AutoencoderKLLTXVideo,
    FlowMatchEulerDiscreteScheduler,
    LTX2ImageToVideoPipeline,
    LTX2Pipeline,
    LTX2VideoDiffusionDecoderModel,
    LTX2VideoTransformer3DModel,
    LTXConditionPipeline,
    LTXEulerAncestralRFScheduler,
    LTXI2VLongMultiPromptPipeline,
    LTXImageToVideoPipeline,
    LTXPipeline,
    LTXVideoTransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors, LTX2Vocoder

from generator.second_decoder import SamplingDecoder
from tests.generator.tiny_systems.text import byte_tokenizer, gemma3
from tests.generator.tiny_systems.video import with_t5

SOUND_RATE = 16_000


def _ltx() -> dict[str, Any]:
    torch.manual_seed(0)
    transformer = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=32,
    )
    vae = AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1, 1, 1, 1),
        patch_size=4,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )
    scheduler = FlowMatchEulerDiscreteScheduler()
    return with_t5(transformer=transformer.eval(), vae=vae.eval(), scheduler=scheduler)


def ltx() -> LTXPipeline:
    return LTXPipeline(**_ltx())


def ltx_image_to_video() -> LTXImageToVideoPipeline:
    return LTXImageToVideoPipeline(**_ltx())


def ltx_conditioned() -> LTXConditionPipeline:
    return LTXConditionPipeline(**_ltx())


def ltx_long() -> LTXI2VLongMultiPromptPipeline:
    """Windows in time, and a decode in tiles that the pipeline blends itself: marked after assembly."""
    return LTXI2VLongMultiPromptPipeline(**{**_ltx(), "scheduler": LTXEulerAncestralRFScheduler()})


def _ltx2() -> dict[str, Any]:
    torch.manual_seed(0)
    transformer = LTX2VideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        audio_in_channels=4,
        audio_out_channels=4,
        audio_num_attention_heads=2,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=8,
        num_layers=1,
        caption_channels=16,
    )
    connectors = LTX2TextConnectors(
        caption_channels=16,
        text_proj_in_factor=3,
        video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=8,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=None,
        audio_connector_num_attention_heads=2,
        audio_connector_attention_head_dim=8,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=None,
    )
    vae = AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(8, 16, 32, 64),
        decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )
    audio_vae = AutoencoderKLLTX2Audio(
        base_channels=4, ch_mult=(1,), num_res_blocks=1, latent_channels=2, mel_bins=8, sample_rate=SOUND_RATE
    )
    vocoder = LTX2Vocoder(
        in_channels=16,
        hidden_channels=16,
        upsample_kernel_sizes=[32, 20],
        upsample_factors=[16, 10],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        output_sampling_rate=SOUND_RATE,
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(),
        "vae": vae.eval(),
        "audio_vae": audio_vae.eval(),
        "text_encoder": gemma3(),
        "tokenizer": byte_tokenizer(1024),
        "connectors": connectors.eval(),
        "transformer": transformer.eval(),
        "vocoder": vocoder.eval(),
    }


def ltx2() -> LTX2Pipeline:
    return LTX2Pipeline(**_ltx2())


def ltx2_image_to_video() -> LTX2ImageToVideoPipeline:
    return LTX2ImageToVideoPipeline(**_ltx2())


def diffusion_decoder() -> LTX2VideoDiffusionDecoderModel:
    """The decoder of LTX-2.5: 32x32x8 compression, as its VAE has."""
    torch.manual_seed(0)
    return LTX2VideoDiffusionDecoderModel(
        latent_channels=4,
        decoder_head_dim=8,
        decoder_stage_channels=(64, 32, 16, 16, 8),
        decoder_stage_depths=(1,) * 5,
        decoder_stage_kernels=((1, 3, 3),) * 4,
        decoder_stage5_kernel=(1, 3, 3),
        decoder_upsample_strides=((1, 1, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1)),
        patch_size=32,  # on a processor every pair of places is computed
        decoder_t_emb_dim=16,
    ).eval()


def _with_diffusion_decoder(pipeline: Any) -> Any:
    pipeline.vae.decoder = SamplingDecoder(diffusion_decoder())
    return pipeline


def ltx25() -> LTX2Pipeline:
    return _with_diffusion_decoder(ltx2())


def ltx25_image_to_video() -> LTX2ImageToVideoPipeline:
    return _with_diffusion_decoder(ltx2_image_to_video())
