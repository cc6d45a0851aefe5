#!/usr/bin/env python3
"""Writes a U-Net of seeded random weights as a diffusers folder: what the benches run where published weights are too large to ship.

    VENV/bin/python bench/peers/make_unet.py cifar10 /tmp/cifar10-unet    # Ho et al. 2020: 35.75 M parameters, 12.4 GFLOP an image
    VENV/bin/python bench/peers/make_unet.py sd15 /tmp/sd15-unet          # Stable Diffusion 1.5's: 860 M parameters, 3.4 GB
"""
import argparse

import torch
from diffusers import UNet2DConditionModel, UNet2DModel

NETS = {
    "cifar10": (UNet2DModel, dict(
        sample_size=32, in_channels=3, out_channels=3, block_out_channels=(128, 256, 256, 256), layers_per_block=2,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"), attention_head_dim=None,
        downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6)),
    "sd15": (UNet2DConditionModel, dict(sample_size=64, cross_attention_dim=768)),
}

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("net", choices=NETS)
p.add_argument("folder")
p.add_argument("--seed", type=int, default=0)
a = p.parse_args()
torch.manual_seed(a.seed)
kind, config = NETS[a.net]
kind(**config).save_pretrained(a.folder)
