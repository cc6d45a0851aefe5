#!/usr/bin/env python3
"""Adds to tests/data/flag-references.json the small families of shared/weights at other sizes and flags than the published files:

    make_small_references.py FLAG-REFERENCES.json

The modules below are our own lines after the words of shared/weights/*/README.md and its authors' constructor arguments.
"""
import json, math, sys
from types import SimpleNamespace
import torch
from torch import nn
from torch.nn import functional as F
from make_flag_references import reference
from small_networks import Alone, CifarResNet, DilatedUNet, FlatClassifier, Three, TimeClassifier, TinyAutoencoder, TinyBlock, diffusers_tiny, pixels, waves


def sinusoids(t, width):
    half = width // 2
    return F.pad(waves(t, torch.exp(-math.log(1e4) * torch.arange(half, dtype=t.dtype) / (half - 1))), (0, width % 2))


class CondVit(nn.Module):
    def __init__(s, in_channels, image_size, patch_size, dim, n_heads, n_layers, mlp_ratio, n_classes):
        super().__init__()
        s.dim = dim
        s.patch_embed = nn.Conv2d(in_channels, dim, patch_size, patch_size)
        s.pos_embed = nn.Parameter(torch.zeros(1, image_size[0] // patch_size * (image_size[1] // patch_size), dim))
        s.transformer = nn.Sequential(*(nn.TransformerEncoderLayer(dim, n_heads, int(dim * mlp_ratio), batch_first=True, activation='gelu') for _ in range(n_layers)))
        s.unpatch = nn.ConvTranspose2d(dim, in_channels, patch_size, patch_size)
        s.y_encoder = nn.Embedding(n_classes + 1, 2 * dim)

    def forward(s, i):
        h = s.patch_embed(i['x'])
        z = i['z'] if 'z' in i else s.y_encoder(i['class'])
        two = lambda v: v.reshape(-1, 2, s.dim)
        y = s.transformer(torch.cat([h.flatten(2).mT + s.pos_embed, two(sinusoids(i['t'], 2 * s.dim)), two(z)], 1))
        return s.unpatch(y[:, :-4].mT.reshape(h.shape))


class DitBlock(nn.Module):
    def __init__(s, emb, heads):
        super().__init__()
        for name in ('gamma1', 'beta1', 'alpha1', 'gamma2', 'beta2', 'alpha2'):
            setattr(s, name, nn.Linear(emb, emb))
        s.ln1, s.ln2, s.heads = nn.LayerNorm(emb), nn.LayerNorm(emb), heads
        s.wq, s.wk, s.wv = (nn.Linear(emb, heads * emb) for _ in range(3))
        s.lv = nn.Linear(heads * emb, emb)
        s.ff = nn.Sequential(nn.Linear(emb, 4 * emb), nn.ReLU(), nn.Linear(4 * emb, emb))

    def forward(s, x, c):
        at = lambda layer: layer(c)[:, None]
        y = s.ln1(x) * (1 + at(s.gamma1)) + at(s.beta1)
        q, k, v = (w(y).unflatten(2, (s.heads, -1)).transpose(1, 2) for w in (s.wq, s.wk, s.wv))
        y = torch.softmax(q @ k.mT / x.shape[1] ** .5, -1) @ v
        x = x + at(s.alpha1) * s.lv(y.transpose(1, 2).flatten(2))
        return x + at(s.alpha2) * s.ff(s.ln2(x) * (1 + at(s.gamma2)) + at(s.beta2))


class Frequencies(nn.Module):
    def __init__(s, name, count):
        super().__init__()
        s.register_buffer(name, torch.zeros(count))

    def forward(s, t):
        return waves(t, next(s.buffers()))


class DitAdaln(nn.Module):
    def __init__(s, img_size, patch_size, channel, emb_size, label_num, dit_num, head):
        super().__init__()
        s.side, s.patch, s.channel, inner = img_size // patch_size, patch_size, channel, channel * patch_size ** 2
        s.conv = nn.Conv2d(channel, inner, patch_size, patch_size)
        s.patch_emb, s.patch_pos_emb = nn.Linear(inner, emb_size), nn.Parameter(torch.zeros(1, s.side ** 2, emb_size))
        s.time_emb = nn.Sequential(Frequencies('half_emb', emb_size // 2), nn.Linear(emb_size, emb_size), nn.ReLU(), nn.Linear(emb_size, emb_size))
        s.label_emb = nn.Embedding(label_num, emb_size)
        s.dits = nn.ModuleList(DitBlock(emb_size, head) for _ in range(dit_num))
        s.ln, s.linear = nn.LayerNorm(emb_size), nn.Linear(emb_size, inner)

    def forward(s, i):
        c = s.time_emb(i['t']) + (i['z'] if 'z' in i else s.label_emb(i['class']))
        h = s.patch_emb(s.conv(i['x']).flatten(2).mT) + s.patch_pos_emb
        for block in s.dits:
            h = block(h, c)
        h = s.linear(s.ln(h)).reshape(-1, s.side, s.side, s.channel, s.patch, s.patch)
        return torch.einsum('nhwcpq->nchpwq', h).reshape(i['x'].shape)


class CsdiLayer(nn.Module):
    def __init__(s, d, depth):
        super().__init__()
        c = d['channels']
        s.diffusion_projection = nn.Linear(d['diffusion_embedding_dim'], c)
        s.cond_projection, s.mid_projection, s.output_projection = (nn.Conv1d(n, 2 * c, 1) for n in (d['side_dim'], c, c))
        stack = lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(c, d['nheads'], 24, activation='gelu', batch_first=True), depth, enable_nested_tensor=False)
        s.time_layer, s.feature_layer = stack(), stack()

    def forward(s, x, z, e):
        n, c, K, L = x.shape
        point = lambda layer, a: layer(a.flatten(2)).unflatten(2, (K, L))
        h = x + pixels(s.diffusion_projection(e))
        if L > 1:
            h = s.time_layer(h.permute(0, 2, 3, 1).flatten(0, 1)).reshape(n, K, L, c).permute(0, 3, 1, 2)
        if K > 1:
            h = s.feature_layer(h.permute(0, 3, 2, 1).flatten(0, 1)).reshape(n, L, K, c).permute(0, 3, 2, 1)
        gate, filtered = (point(s.mid_projection, h) + point(s.cond_projection, z)).chunk(2, 1)
        residual, skip = point(s.output_projection, gate.sigmoid() * filtered.tanh()).chunk(2, 1)
        return (x + residual) / 2 ** .5, skip


class Csdi(nn.Module):
    def __init__(s, d, channels, variables, depth):
        super().__init__()
        if variables:
            s.embed_layer = nn.Embedding(variables, 4)
            s.embed_layer.weight.requires_grad_(False)
        m, c, e = nn.Module(), d['channels'], d['diffusion_embedding_dim']
        m.diffusion_embedding = nn.Module()
        m.diffusion_embedding.projection1, m.diffusion_embedding.projection2 = nn.Linear(e, e), nn.Linear(e, e)
        m.input_projection, m.output_projection1, m.output_projection2 = nn.Conv1d(channels, c, 1), nn.Conv1d(c, c, 1), nn.Conv1d(c, 1, 1)
        m.residual_layers = nn.ModuleList(CsdiLayer(d, depth) for _ in range(d['layers']))
        s.diffmodel, s.half = m, e // 2

    def forward(s, i):
        m, shape = s.diffmodel, i['x'].shape[2:]
        k = torch.arange(s.half, dtype=torch.float32) / (s.half - 1) * 4  # float32 on purpose: see the README of csdi-physio
        phase = (i['t'].float()[:, None] * (10. ** k.double()).float()).double()
        e = torch.cat([phase.sin(), phase.cos()], 1)
        e = F.silu(m.diffusion_embedding.projection2(F.silu(m.diffusion_embedding.projection1(e))))
        x, total = m.input_projection(i['x'].flatten(2)).relu().unflatten(2, shape), 0
        for layer in m.residual_layers:
            x, skip = layer(x, i['z'], e)
            total = total + skip
        y = m.output_projection1((total / len(m.residual_layers) ** .5).flatten(2)).relu()
        return m.output_projection2(y).unflatten(2, shape)


class CnnGelu(nn.Module):
    def __init__(s, in_channels, shape, hidden, kernel, last, times, act, depth=4, steps=0):
        super().__init__()
        c, blocks = in_channels, []
        for h in hidden:
            block = nn.Module()
            block.net = nn.Sequential(nn.Conv2d(c, h, kernel, padding=kernel // 2), nn.LayerNorm((h, *shape)), act())
            blocks, c = blocks + [block], h
        m = nn.Module() if steps else s
        m.blocks = nn.ModuleList(blocks + [nn.Conv2d(c, in_channels, last, padding=last // 2)])
        widths, layers = [2 * times] + [20] * (depth - 1) + [hidden[0]], []
        for a, b in zip(widths, widths[1:]):
            layers += [nn.Linear(a, b), act()]
        m.time_embed = nn.Sequential(*layers[:-1])
        m.register_buffer('frequencies', torch.zeros(times))
        if steps:
            s.gt = m
            s.register_buffer('beta_t', torch.zeros(steps)), s.register_buffer('alpha_t', torch.zeros(steps))
        s.m = [m]  # not a child twice

    def forward(s, i):
        m, = s.m
        a = i['t'][:, None] * m.frequencies
        e = m.time_embed(torch.cat([a.sin(), a.cos() - 1], 1))
        x = m.blocks[0].net(i['x']) + pixels(e)
        for block in m.blocks[1:-1]:
            x = block.net(x)
        return m.blocks[-1](x)


class FilmCnn(nn.Module):
    def __init__(s, pre, post, time, kernel, batch_norm=False, steps=0):
        super().__init__()
        m = nn.Module() if steps else s

        def chain(widths, name):
            all = nn.Sequential()
            for k, (a, b) in enumerate(zip(widths, widths[1:])):
                all.add_module(f'conv_{name}{k}', nn.Conv2d(a, b, kernel, padding='same'))
                if k < len(widths) - 2:
                    if batch_norm:
                        all.add_module(f'batchnorm_{name}{k + 1}', nn.BatchNorm2d(b))
                    all.add_module(f'act_{name}{k + 1}', nn.ReLU())
            return all
        m.cnn_pre, m.cnn_post, m.time_mlp = chain(pre, 'pre'), chain(post, 'post'), nn.Sequential()
        for k, (a, b) in enumerate(zip(time, time[1:])):
            m.time_mlp.add_module(f'time_linear{k + 1}', nn.Linear(a, b))
            if k < len(time) - 2:
                m.time_mlp.add_module(f'act_time{k + 1}', nn.ReLU())
        if steps:
            s.model = m
            s.register_buffer('betas', torch.zeros(steps)), s.register_buffer('snrs', torch.zeros(steps))
        s.m, s.width = [m], time[0]

    def forward(s, i):
        m, = s.m
        scale, shift = m.time_mlp(sinusoids(i['t'], s.width)).chunk(2, 1)
        x = m.cnn_pre(i['x'])
        return m.cnn_post(x + pixels(scale) * x + pixels(shift))


class ToyBlock(nn.Module):
    def __init__(s, width):
        super().__init__()
        s.ln, s.ff = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(s, x):
        return x + F.gelu(s.ff(s.ln(x)))


class SinusoidalMlp(nn.Module):
    def __init__(s, data, embedded, embedding_size, hidden_size, hidden_layers):
        super().__init__()
        s.time_emb, s.embedded = Frequencies('emb', embedding_size // 2), embedded
        for k in range(data if embedded else 0):
            setattr(s, f'input_emb{k + 1}', Frequencies('emb', embedding_size // 2))
        width = (data * embedding_size if embedded else data) + embedding_size
        s.joint_mlp = nn.Sequential(nn.Linear(width, hidden_size), nn.GELU(), *(ToyBlock(hidden_size) for _ in range(hidden_layers)), nn.LayerNorm(hidden_size), nn.Linear(hidden_size, data))

    def forward(s, i):
        x = i['x']
        parts = [getattr(s, f'input_emb{k + 1}')(25 * x[:, k]) for k in range(x.shape[1])] if s.embedded else [x]
        return s.joint_mlp(torch.cat(parts + [s.time_emb(i['t'])], 1))


def specs():
    """name: (the network, what goes into the file)"""
    S = lambda family, config, x, t, **k: dict(family=family, config=config, x=x, t=t, **k)
    vit = dict(in_channels=3, image_size=[8, 12], patch_size=4, dim=16, n_heads=2, n_layers=2, mlp_ratio=3.0, n_classes=4)
    small = dict(vit, in_channels=1, image_size=[6, 6], patch_size=3, n_heads=8, n_layers=1, n_classes=2)
    dit = dict(img_size=9, patch_size=3, channel=2, emb_size=12, label_num=5, dit_num=2, head=3)
    csdi = dict(layers=2, channels=16, nheads=2, diffusion_embedding_dim=24, beta_start=1e-4, beta_end=.2, num_steps=30, schedule='linear', is_linear=False, side_dim=7)
    single = dict(csdi, layers=3, nheads=4, side_dim=5)
    film = dict(n_layers_pre=3, n_layers_post=2, n_layers_time=3, ch_init_time=9, kernel_size=[3, 5], batch_norm=True, mode='2D', data_shape=[3, 6, 7])
    toy = dict(embedding_size=10, hidden_size=12, hidden_layers=3)
    step = [7, 21]
    C = lambda i, o, **how: nn.Conv2d(i, o, 3, padding=1, **how)
    halving = lambda i, o: C(i, o, stride=2, bias=False)
    tiny = dict(in_channels=1, out_channels=2, latent_channels=3, act_fn='silu', encoder_block_out_channels=[8, 8, 8], decoder_block_out_channels=[8, 8, 8],
                num_encoder_blocks=[1, 2, 1], num_decoder_blocks=[2, 1, 1])
    coder = lambda: (nn.Sequential(C(3, 8), TinyBlock(8, 8), halving(8, 8), TinyBlock(8, 8, True), C(8, 5)),
                     nn.Sequential(Three(), C(5, 12), nn.ReLU(), TinyBlock(12, 12, True), nn.Upsample(scale_factor=2), C(12, 8, bias=False), TinyBlock(8, 6), C(6, 3)))
    return {
        'flat-oblong': (FlatClassifier([2, 4, 6], 3, 15, 7, 5), S('flat_classifier', dict(sample_size=[7, 9]), (7, 9, 2), step)),
        'resnet-a': (CifarResNet(3, [4, 6, 8], 2, [1, 2, 2], 'A', 5), S('cifar_resnet', {}, (9, 8, 3), step)),
        'resnet-b': (CifarResNet(1, [4, 6, 6, 4], 1, [2, 1, 2, 1], 'B', 3), S('cifar_resnet', dict(strides=[2, 1, 2, 1]), (8, 8, 1), step)),
        'time-classifier-groups': (TimeClassifier([2, 6, 6, 4, 4], [2, 3, 1, 4], 10, 7, 4), S('time_classifier', dict(groups=[2, 3, 1, 4]), (9, 8, 2), [.05, .7])),
        'dilated-residual': (DilatedUNet(2, 4, 6, True, 6, True), S('dilated_unet', dict(residual=True), (9, 11, 2), step)),
        'tiny-encoder-f32': (Alone(C(3, 4, stride=2), nn.ReLU(), C(4, 8, stride=2), nn.ReLU(), TinyBlock(8, 8), halving(8, 8), TinyBlock(8, 8), C(8, 5)), S('tiny_autoencoder', {}, (16, 8, 3), step)),
        'tiny-encode': (TinyAutoencoder(*coder(), 'encode'), S('tiny_autoencoder', {}, (6, 4, 3), step, run='_encode')),
        'tiny-decode': (TinyAutoencoder(*coder(), 'decode'), S('tiny_autoencoder', {}, (3, 4, 5), step, run='_decode')),
        'tiny-diffusers-encode': (diffusers_tiny('encode', **tiny), S('tiny_autoencoder', tiny, (8, 4, 1), step, run='_encode')),
        'tiny-diffusers-decode': (diffusers_tiny('decode', **tiny), S('tiny_autoencoder', tiny, (2, 3, 3), step, run='_decode')),
        'vit-oblong': (CondVit(**vit), S('cond_vit', vit, (8, 12, 3), [.3, .9], classes=[3, 4])),
        'vit-rows': (CondVit(**small), S('cond_vit', {k: v for k, v in small.items() if k != 'image_size'}, (6, 6, 1), [0, .5], z=(32,))),
        'dit-adaln': (DitAdaln(**dit), S('dit_adaln', dit, (9, 9, 2), step, classes=[4, 0])),
        'dit-adaln-rows': (DitAdaln(**dict(dit, head=1)), S('dit_adaln', {}, (9, 9, 2), step, z=(12,))),
        'csdi': (Csdi(csdi, 2, 5, 2), S('csdi', dict(diffusion=csdi, model=dict(is_unconditional=0)), (5, 6, 2), step, z=(5, 6, 7))),
        'csdi-single': (Csdi(single, 1, 0, 1), S('csdi', dict(diffusion=single, model=dict(is_unconditional=1)), (4, 1, 1), step, z=(4, 1, 5))),
        'cnn-gelu-relu': (CnnGelu(2, (7, 9), [6, 8], 5, 1, 5, nn.ReLU, steps=11), S('cnn_gelu', dict(act='relu'), (7, 9, 2), [.25, .8])),
        'cnn-gelu-bare': (CnnGelu(1, (5, 5), [4], 3, 3, 3, nn.GELU, depth=2), S('cnn_gelu', {}, (5, 5, 1), [.25, .8])),
        'film-deep': (FilmCnn([3, 8, 8, 6], [6, 5, 3], [9, 6, 6, 12], (3, 5), True, 10), S('film_cnn', film, (6, 7, 3), step)),
        'film-bare': (FilmCnn([2, 6], [6, 2], [12], (2, 4)), S('film_cnn', {}, (5, 6, 2), step)),
        'toy-deep': (SinusoidalMlp(2, True, **toy), S('sinusoidal_mlp', toy, (2,), step)),
        'toy-flat': (SinusoidalMlp(6, False, **dict(toy, hidden_layers=0)), S('sinusoidal_mlp', {}, (6,), step)),
    }


def main(path):
    with open(path) as f:
        result = json.load(f)
    for name, (net, spec) in specs().items():
        M = SimpleNamespace(build=lambda config: (net, {spec.get('run', ''): net}))
        keys = {k: list(v.shape) for k, v in sorted(net.state_dict().items())}
        result[name] = {**spec, 'config': {'family': spec['family'], **spec['config']}, 'keys': keys, **reference(M, spec)}
        print(name, result[name]['y'], flush=True)
    with open(path, 'w') as f:
        f.write('{\n' + ',\n'.join(f'{json.dumps(k)}: {json.dumps(v)}' for k, v in result.items()) + '\n}\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
