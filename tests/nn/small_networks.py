"""Classifiers, denoisers and autoencoders of shared/weights for make_small_references.py: our own lines after the words of their READMEs."""
import math
import torch
from torch import nn
from torch.nn import functional as F


def waves(t, f):
    a = t[:, None] * f
    return torch.cat([a.sin(), a.cos()], 1)


def pixels(v):
    return v[:, :, None, None]


class FlatClassifier(nn.Module):
    def __init__(s, widths, kernel, pixels, hidden, classes):
        super().__init__()
        s.count = len(widths) - 1
        for k in range(s.count):
            setattr(s, f'conv{k + 1}', nn.Conv2d(widths[k], widths[k + 1], kernel))
        s.norm1, s.fc1, s.fc2, s.norm2 = nn.BatchNorm2d(widths[-1]), nn.Linear(widths[-1] * pixels, hidden), nn.Linear(hidden, classes), nn.BatchNorm1d(classes)

    def forward(s, i):
        x = i['x']
        for k in range(s.count):
            x = getattr(s, f'conv{k + 1}')(x).relu()
        return s.norm2(s.fc2(s.fc1(s.norm1(x).flatten(1)).relu()))


class ResBlock(nn.Module):
    def __init__(s, a, b, stride, option):
        super().__init__()
        s.conv1, s.bn1 = nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b)
        s.conv2, s.bn2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        s.shortcut, s.bare = nn.Sequential(), None
        if (stride, a) != (1, b):
            if option == 'B':
                s.shortcut = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))
            else:
                s.bare = (stride, (b - a) // 2)

    def forward(s, x):
        around = s.shortcut(x) if s.bare is None else F.pad(x[:, :, ::s.bare[0], ::s.bare[0]], (0, 0, 0, 0, s.bare[1], s.bare[1]))
        return (s.bn2(s.conv2(s.bn1(s.conv1(x)).relu())) + around).relu()


class CifarResNet(nn.Module):
    def __init__(s, channels, widths, blocks, strides, option, classes):
        super().__init__()
        a, s.count = widths[0], len(widths)
        s.conv1, s.bn1 = nn.Conv2d(channels, a, 3, 1, 1, bias=False), nn.BatchNorm2d(a)
        for k, (b, stride) in enumerate(zip(widths, strides)):
            rows = [ResBlock(a if j == 0 else b, b, stride if j == 0 else 1, option) for j in range(blocks)]
            setattr(s, f'layer{k + 1}', nn.Sequential(*rows))
            a = b
        s.linear = nn.Linear(a, classes)

    def forward(s, i):
        x = s.bn1(s.conv1(i['x'])).relu()
        for k in range(s.count):
            x = getattr(s, f'layer{k + 1}')(x)
        return s.linear(x.mean((2, 3)))


class Rff(nn.Module):
    def __init__(s, count):
        super().__init__()
        s.register_buffer('rff_weights', torch.zeros(count))

    def forward(s, t):
        return waves(t, s.rff_weights * 2 * math.pi)


class TimeClassifier(nn.Module):
    def __init__(s, widths, groups, embed, hidden, classes):
        super().__init__()
        s.embed = nn.Sequential(Rff(embed // 2), nn.Linear(embed, embed), nn.SiLU(), nn.Linear(embed, embed))
        s.count = len(groups)
        for k in range(s.count):
            time = nn.Module()
            time.dense = nn.Linear(embed, widths[k + 1])
            setattr(s, f'conv{k + 1}', nn.Conv2d(widths[k], widths[k + 1], 3, 1 + (k > 0), 1))
            setattr(s, f'time{k + 1}', time), setattr(s, f'norm{k + 1}', nn.GroupNorm(groups[k], widths[k + 1]))
        s.head = nn.Sequential(nn.Linear(widths[-1], hidden), nn.SiLU(), nn.Dropout(.1), nn.Linear(hidden, classes))

    def forward(s, i):
        x, e = i['x'], s.embed(i['t'])
        for k in range(1, s.count + 1):
            x = F.silu(getattr(s, f'norm{k}')(getattr(s, f'conv{k}')(x) + pixels(getattr(s, f'time{k}').dense(e))))
        return s.head(x.mean((2, 3)))


class DilatedUNet(nn.Module):
    def __init__(s, c, a, b, bias, up, residual):
        super().__init__()
        C = lambda i, o, k, **how: nn.Conv2d(i, o, k, bias=bias, **how)
        s.conv1, s.conv2, s.conv3, s.conv4 = C(c, a, 5, padding=2), C(a, a, 3, padding=1), C(a, b, 3, stride=2, padding=1), C(b, b, 3, padding=1)
        s.conv5, s.conv6 = C(b, b, 3, dilation=2, padding=2), C(b, b, 3, dilation=4, padding=4)
        s.conv7 = nn.ConvTranspose2d(b, b, up, stride=2, padding=(up - 2) // 2, bias=bias)
        s.conv8, s.conv9, s.residual = C(a + b, a, 3, padding=1), nn.Conv2d(a, c, 5, padding=2, bias=False), residual

    def forward(s, i):
        h, w = i['x'].shape[2:]
        x = F.pad(i['x'], (0, w % 2, 0, h % 2))
        skip = s.conv2(s.conv1(x).relu()).relu()
        low = skip
        for layer in (s.conv3, s.conv4, s.conv5, s.conv6, s.conv7):
            low = layer(low).relu()
        y = s.conv9(s.conv8(torch.cat([low, skip], 1)).relu())
        return (x - y if s.residual else y)[:, :, :h, :w]


class TinyBlock(nn.Module):
    def __init__(s, a, b, pool=False):
        super().__init__()
        C = lambda i: nn.Conv2d(i, b, 3, padding=1)
        s.conv = nn.Sequential(C(a), nn.ReLU(), C(b), nn.ReLU(), C(b))
        s.skip = nn.Identity() if a == b else nn.Conv2d(a, b, 1, bias=False)
        s.pool = nn.Sequential(nn.Conv2d(a, 4 * a, 1, bias=False), nn.GroupNorm(4, 4 * a), nn.ReLU(), nn.Conv2d(4 * a, a, 1, bias=False)) if pool else None

    def forward(s, x):
        x = x if s.pool is None else x + s.pool(x)
        return (s.conv(x) + s.skip(x)).relu()


class Three(nn.Module):
    def forward(s, x):
        return 3 * torch.tanh(x / 3)


class Alone(nn.Sequential):
    def forward(s, i):
        return super().forward(i['x'])


class TinyAutoencoder(nn.Module):
    def __init__(s, encoder, decoder, runs):
        super().__init__()
        s.encoder, s.decoder, s.runs = encoder, decoder, runs

    def forward(s, i):
        return (s.encoder if s.runs == 'encode' else s.decoder)(i['x'])


def diffusers_tiny(runs, **config):
    from diffusers import AutoencoderTiny
    net = AutoencoderTiny(**config)
    return TinyAutoencoder(net.encoder, net.decoder, runs)
