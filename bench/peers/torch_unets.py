"""Two networks in plain PyTorch under diffusers' names, for machines that have no diffusers: the U-Net of DDPM on CIFAR-10 (Ho et al.
2020), 35.75 M parameters, and that of Stable Diffusion 1.5, 860 M.

    torch_unets.py ddpm|sd15 FOLDER [--type bf16]      writes seeded random weights as a diffusers folder, which costate reads
"""
import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

CONFIGS = {
    "ddpm": {"_class_name": "UNet2DModel", "sample_size": 32, "in_channels": 3, "out_channels": 3, "center_input_sample": False,
             "time_embedding_type": "positional", "freq_shift": 1, "flip_sin_to_cos": False, "act_fn": "silu",
             "block_out_channels": [128, 256, 256, 256], "layers_per_block": 2,
             "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
             "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
             "attention_head_dim": None, "norm_eps": 1e-6, "norm_num_groups": 32, "downsample_padding": 0, "mid_block_scale_factor": 1},
    "sd15": {"_class_name": "UNet2DConditionModel", "sample_size": 64, "in_channels": 4, "out_channels": 4, "center_input_sample": False,
             "freq_shift": 0, "flip_sin_to_cos": True, "act_fn": "silu", "block_out_channels": [320, 640, 1280, 1280],
             "layers_per_block": 2, "cross_attention_dim": 768, "attention_head_dim": 8, "norm_eps": 1e-5, "norm_num_groups": 32,
             "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], "mid_block_type": "UNetMidBlock2DCrossAttn",
             "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3, "downsample_padding": 1, "mid_block_scale_factor": 1}}


def image_tokens(x):
    n, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).reshape(n, h * w, c)


def tokens_image(y, like):
    n, _, h, w = like.shape
    return y.reshape(n, h, w, -1).permute(0, 3, 1, 2)


class Resnet(nn.Module):
    def __init__(self, i, o, times, eps):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, i, eps), nn.Conv2d(i, o, 3, padding=1)
        self.time_emb_proj = nn.Linear(times, o)
        self.norm2, self.conv2 = nn.GroupNorm(32, o, eps), nn.Conv2d(o, o, 3, padding=1)
        if i != o:
            self.conv_shortcut = nn.Conv2d(i, o, 1)

    def forward(self, x, e):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time_emb_proj(F.silu(e))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Heads(nn.Module):
    """Attention of tokens to themselves, or to z."""

    def __init__(self, c, z, heads, bias):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(i, c, bias=bias) for i in (c, z, z))
        self.to_out = nn.ModuleList([nn.Linear(c, c)])

    def forward(self, y, z=None):
        z = y if z is None else z
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (self.to_q(y), self.to_k(z), self.to_v(z)))
        return self.to_out[0](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class PlainAttention(Heads):
    def __init__(self, c):
        super().__init__(c, c, 1, True)
        self.group_norm = nn.GroupNorm(32, c, 1e-6)

    def forward(self, x, _=None):
        return x + tokens_image(super().forward(image_tokens(self.group_norm(x))), x)


class Gated(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.proj = nn.Linear(c, 8 * c)

    def forward(self, y):
        value, gate = self.proj(y).chunk(2, dim=-1)
        return value * F.gelu(gate)


class TransformerBlock(nn.Module):
    def __init__(self, c, z, heads):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(c) for _ in range(3))
        self.attn1, self.attn2 = Heads(c, c, heads, False), Heads(c, z, heads, False)
        self.ff = nn.Module()
        self.ff.net = nn.ModuleList([Gated(c), nn.Identity(), nn.Linear(4 * c, c)])

    def forward(self, y, z):
        y = y + self.attn1(self.norm1(y))
        y = y + self.attn2(self.norm2(y), z)
        return y + self.ff.net[2](self.ff.net[0](self.norm3(y)))


class Transformer(nn.Module):
    def __init__(self, c, z, heads):
        super().__init__()
        self.norm = nn.GroupNorm(32, c, 1e-6)
        self.proj_in, self.proj_out = nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(c, z, heads)])

    def forward(self, x, z):
        h = self.proj_in(self.norm(x))
        return x + self.proj_out(tokens_image(self.transformer_blocks[0](image_tokens(h), z), x))


class Down(nn.Module):
    def __init__(self, c, padding):
        super().__init__()
        self.padding, self.conv = padding, nn.Conv2d(c, c, 3, stride=2, padding=padding)

    def forward(self, x):
        return self.conv(x if self.padding else F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Block(nn.Module):
    def __init__(self, resnets, attentions, change=None):
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        if attentions:
            self.attentions = nn.ModuleList(attentions)
        if change is not None:
            setattr(self, change[0], nn.ModuleList([change[1]]))

    def level(self, j, h, e, z):
        h = self.resnets[j](h, e)
        return self.attentions[j](h, z) if hasattr(self, "attentions") else h


class UNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        widths, layers, eps = config["block_out_channels"], config["layers_per_block"], config["norm_eps"]
        z, heads, times = config.get("cross_attention_dim"), config["attention_head_dim"], 4 * widths[0]

        def resnet(i, o):
            return Resnet(i, o, times, eps)

        def attentions(kind, c, count):
            return [Transformer(c, z, heads) if z else PlainAttention(c) for _ in range(count)] if "Attn" in kind else []

        self.conv_in = nn.Conv2d(config["in_channels"], widths[0], 3, padding=1)
        self.time_embedding = nn.ModuleDict({"linear_1": nn.Linear(widths[0], times), "linear_2": nn.Linear(times, times)})
        skips, c, downs = [widths[0]], widths[0], []
        for i, (w, kind) in enumerate(zip(widths, config["down_block_types"])):
            more = i + 1 < len(widths)
            downs.append(Block([resnet(c if j == 0 else w, w) for j in range(layers)], attentions(kind, w, layers),
                               ("downsamplers", Down(w, config["downsample_padding"])) if more else None))
            skips += [w] * layers + [w] * more
            c = w
        self.down_blocks = nn.ModuleList(downs)
        self.mid_block = Block([resnet(c, c), resnet(c, c)], attentions("Attn", c, 1))
        ups = []
        for i, (w, kind) in enumerate(zip(reversed(widths), config["up_block_types"])):
            resnets = []
            for _ in range(layers + 1):
                resnets.append(resnet(c + skips.pop(), w))
                c = w
            ups.append(Block(resnets, attentions(kind, w, layers + 1), ("upsamplers", Up(w)) if i + 1 < len(widths) else None))
        self.up_blocks = nn.ModuleList(ups)
        self.conv_norm_out, self.conv_out = nn.GroupNorm(32, c, eps), nn.Conv2d(c, config["out_channels"], 3, padding=1)
        half = widths[0] // 2
        steps = torch.arange(half) / (half - config["freq_shift"])
        self.register_buffer("frequencies", torch.exp(-math.log(10000) * steps), persistent=False)

    def forward(self, x, t, z=None):
        angles = t.float()[:, None] * self.frequencies.float()[None]
        waves = (angles.cos(), angles.sin()) if self.config["flip_sin_to_cos"] else (angles.sin(), angles.cos())
        e = self.time_embedding["linear_1"](torch.cat(waves, 1).to(x.dtype))
        e = self.time_embedding["linear_2"](F.silu(e))
        h = self.conv_in(x)
        skips = [h]
        for b in self.down_blocks:
            for j in range(len(b.resnets)):
                h = b.level(j, h, e, z)
                skips.append(h)
            if hasattr(b, "downsamplers"):
                h = b.downsamplers[0](h)
                skips.append(h)
        h = self.mid_block.resnets[1](self.mid_block.level(0, h, e, z), e)
        for b in self.up_blocks:
            for j in range(len(b.resnets)):
                h = b.level(j, torch.cat([h, skips.pop()], 1), e, z)
            if hasattr(b, "upsamplers"):
                h = b.upsamplers[0](h)
        return self.conv_out(F.silu(self.conv_norm_out(h)))


def make(name, device="cpu", **changes):
    torch.manual_seed(0)
    with torch.device(device):
        return UNet({**CONFIGS[name], **changes}).eval().requires_grad_(False)


def write(net, folder, kind):
    from safetensors.torch import save_file
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(net.config))
    save_file({k: v.to("cpu", kind).contiguous() for k, v in net.state_dict().items()}, folder / "diffusion_pytorch_model.safetensors")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("network", choices=CONFIGS)
    p.add_argument("folder")
    p.add_argument("--type", choices=["f32", "bf16"], default="f32")
    p.add_argument("--on", default="cuda" if torch.cuda.is_available() else "cpu", help="where the numbers are drawn")
    p.add_argument("--widths", help="narrower blocks and smaller pictures, for a rehearsal: 32,32,64,64")
    a = p.parse_args()
    changes = {"block_out_channels": [int(w) for w in a.widths.split(",")], "sample_size": 8} if a.widths else {}
    write(make(a.network, a.on, **changes), a.folder, torch.bfloat16 if a.type == "bf16" else torch.float32)


if __name__ == "__main__":
    main()
