#!/usr/bin/env python3
"""Writes tests/data/flag-references.json: what the authors' own classes return for flags that shared/fixtures does not cover.

    make_flag_references.py SHARED CHECKOUTS OUT.json

SHARED/fixtures/make_authors.py knows the authors' classes; CHECKOUTS is as described there. Weights and inputs are formulas (see
`waves` and `fill`, the same in tests/nn/test_flag_references.cpp), so that only configurations and a few sums are kept.
"""
import contextlib, importlib, json, sys
import numpy as np, torch


def waves(n, phase):
    i = np.arange(n, dtype=np.float64)
    return np.sin(phase + 12.9898 * i + .37 * (i * i % 101))


def fill(key, shape, phase, config):
    """A tensor as it lies in files; everything of order one, nothing zero."""
    w, leaf, n = waves(int(np.prod(shape)), phase), key.rsplit('.', 1)[-1], int(np.prod(shape))
    if leaf == 'resample_filter':
        f = np.array(config.get('resample_filter', [1, 1]), dtype=np.float64)
        return np.outer(f, f) / f.sum() ** 2
    if leaf == 'u':
        return 8. * (1 - np.arange(n) / (n - 1))
    if leaf in ('sigmas', 'g', 'running_var') or (leaf == 'weight' and len(shape) == 1):
        return 1 + .1 * w
    if leaf in ('bias', 'b'):
        return .1 * w
    if len(shape) < 2:
        return w
    return 1.5 * w / np.sqrt(shape[0] if leaf == 'W' else n // shape[0])


def sums(t):
    v = t.detach().double()
    v = (v.permute(0, 2, 3, 1) if v.ndim == 4 else v).reshape(-1).numpy()
    return [float(v.sum()), float(np.sqrt((v * v).sum())), float((np.cos(np.arange(v.size)) * v).sum())]


def flat_sums(tensors):
    v = np.concatenate([t.detach().double().reshape(-1).numpy() for t in tensors])
    return [float(v.sum()), float(np.sqrt((v * v).sum())), float((np.cos(np.arange(v.size)) * v).sum())]


def edm(cfg):
    cfg = dict(cfg)
    net = getattr(importlib.import_module('training.networks'), cfg.pop('class_name', 'EDMPrecond'))(**cfg)

    def call(i):
        labels = torch.nn.functional.one_hot(i['class'], net.label_dim) if 'class' in i else None
        return net(i['x'], i['t'], class_labels=labels, **{k: i[k] for k in i if k == 'augment_labels'})
    return net, {'': call}


ADDED = {'image_embeds': 6, 'text_embeds': 7, 'hint': 8}  # the phases of their numbers


def diffusers_unet(name):
    """A U-Net of diffusers; its dual transformer is called as in the releases that could run it."""
    from diffusers.models.transformers.dual_transformer_2d import DualTransformer2DModel as Dual

    def build(cfg):
        import diffusers
        if not hasattr(Dual, 'bare'):
            Dual.bare = Dual.forward
            Dual.forward = lambda self, x, encoder_hidden_states, encoder_attention_mask=None, **k: self.bare(x, encoder_hidden_states, **k)
        net = getattr(diffusers, name)(**cfg)
        more = lambda i: dict(encoder_hidden_states=i.get('z'), timestep_cond=i.get('timestep_cond'),
                              added_cond_kwargs={k: i[k] for k in ADDED if k in i}) if name == 'UNet2DConditionModel' else {}
        return net, {'': lambda i: net(i['x'], i['t'], **more(i)).sample}
    return build


def diffusers_dit(cfg):
    import diffusers
    net = diffusers.DiTTransformer2DModel(**cfg)
    return net, {'': lambda i: net(i['x'], i['t'], class_labels=i['class']).sample}


def diffusers_kl(cfg):
    import diffusers
    net = diffusers.AutoencoderKL(**cfg)
    return net, {'_encode': lambda i: net.encode(i['x']).latent_dist.parameters, '_decode': lambda i: net.decode(i['x']).sample}


def specs(M):
    HO = lambda **k: dict(model=dict(dict(type='simple', in_channels=3, out_ch=3, ch=32, ch_mult=[2, 1], num_res_blocks=1, dropout=.1,
                                          attn_resolutions=[4], resamp_with_conv=True), **k), data=dict(image_size=8),
                            diffusion=dict(num_diffusion_timesteps=1000))
    ADM = dict(image_size=8, in_channels=3, model_channels=32, out_channels=3, num_res_blocks=1, attention_resolutions=[1, 2], channel_mult=[1, 2])
    CL = dict(image_size=8, in_channels=3, model_channels=32, out_channels=5, num_res_blocks=1, attention_resolutions=[2], channel_mult=[1, 2], num_head_channels=16)
    DAE = dict(image_size=8, in_channels=3, model_channels=32, out_channels=3, num_res_blocks=1, embed_channels=32, attention_resolutions=[4],
               channel_mult=[1, 2], num_heads=2, resblock_updown=True, resnet_two_cond=True, enc_out_channels=32, enc_pool='adaptivenonzero', enc_num_res_block=1)
    LAT = dict(num_channels=16, skip_layers=[1, 3], num_hid_channels=24, num_layers=5, num_time_emb_channels=16, last_act='none')
    EDM = dict(img_resolution=8, img_channels=3)
    SONG = dict(EDM, model_type='SongUNet', model_channels=8, channel_mult=[1, 2], num_blocks=1, attn_resolutions=[8, 4])
    sde = lambda centered=True, **k: M.scoresde(dict(dict(attn_resolutions=[4]), **k), image_size=8, centered=centered)
    image, sigma, label, step = (8, 8, 3), [.3125, 4.5], [123.25, 700.5], [37, 612]
    K = lambda down, up, **k: dict(down_block_types=[f'K{n}DownBlock2D' for n in down], up_block_types=[f'K{n}UpBlock2D' for n in up], attention_head_dim=16, **k)
    X = 'CrossAttn'
    LATENT = dict(in_channels=3, out_channels=3, block_out_channels=[8, 16], layers_per_block=1, norm_num_groups=4, attention_head_dim=2, cross_attention_dim=12)
    BLOCKS = dict(down_block_types=[X + 'DownBlock2D', 'DownBlock2D'], up_block_types=['UpBlock2D', X + 'UpBlock2D'])
    DIT = dict(num_attention_heads=2, attention_head_dim=4, in_channels=3, num_layers=2, sample_size=8, patch_size=2, num_embeds_ada_norm=5)
    KL = dict(in_channels=3, out_channels=3, block_out_channels=[8, 16], latent_channels=3, norm_num_groups=4)
    S = lambda family, config, t=step, x=image, **k: dict(family=family, config=config, t=t, x=x, **k)
    return {
        'ho-pool': S('ddim-ho', HO(resamp_with_conv=False, ch_mult=[1, 2, 2], num_res_blocks=2, attn_resolutions=[8, 2])),
        'adm-new-order': S('adm', dict(ADM, num_heads=2, num_heads_upsample=4, use_new_attention_order=True)),
        'adm-pool-classes': S('adm', dict(ADM, num_heads=2, conv_resample=False, channel_mult=[1, 2, 2], num_classes=4), classes=[3, 0]),
        'adm-conv-additive': S('adm', dict(ADM, num_head_channels=8, out_channels=6, num_res_blocks=2)),
        'adm-updown': S('adm', dict(ADM, num_head_channels=16, resblock_updown=True, use_scale_shift_norm=True, use_new_attention_order=True)),
        'classifier-adaptive': S('adm-classifier', dict(CL, pool='adaptive', resblock_updown=True, use_scale_shift_norm=True)),
        'classifier-spatial': S('adm-classifier', dict(CL, pool='spatial')),
        'classifier-spatial_v2': S('adm-classifier', dict(CL, pool='spatial_v2', use_new_attention_order=True)),
        'sde-cat-elu': S('scoresde-ncsnpp', sde(fir=True, progressive_input='input_skip', progressive_combine='cat', nonlinearity='elu'), label),
        'sde-naive-skip-lrelu': S('scoresde-ncsnpp', sde(fir=False, progressive_input='input_skip', nonlinearity='lrelu', skip_rescale=False, ch_mult=[1, 2, 2]), label),
        'sde-naive-residual-relu': S('scoresde-ncsnpp', sde(fir=False, progressive_input='residual', nonlinearity='relu', ch_mult=[1, 2, 1]), label),
        'sde-residual-plain-sum': S('scoresde-ncsnpp', sde(False, fir=True, progressive_input='residual', skip_rescale=False, nf=16, num_res_blocks=2), label),
        'sde-ddpm-blocks': S('scoresde-ncsnpp', sde(fir=True, resblock_type='ddpm', resamp_with_conv=False, progressive='output_skip'), label),
        'sde-unconditional': S('scoresde-ncsnpp', sde(conditional=False, fir=True, embedding_type='fourier', scale_by_sigma=True, fir_kernel=[1, 1]), [.5, 2.25]),
        'sde-sigma-table': S('scoresde-ncsnpp', sde(scale_by_sigma=True, fir=True, fir_kernel=[1, 2, 1]), [123, 700]),
        'sde-residual-up': S('scoresde-ncsnpp', sde(fir=False, progressive='residual', ch_mult=[1, 2, 1], fir_kernel=[1, 3, 3, 1]), label),
        'sde-ddpm-sigma': S('scoresde-ddpm', sde(False, name='ddpm', nf=32, scale_by_sigma=True, resamp_with_conv=False, nonlinearity='elu'), [123, 700]),
        'edm-skip': S('edm', dict(SONG, sigma_data=.5, encoder_type='skip', decoder_type='skip', resample_filter=[1, 3, 3, 1], channel_mult=[1, 2, 2], augment_dim=9), sigma, augment_labels=(9,)),
        'edm-vp-labels': S('edm', dict(SONG, class_name='VPPrecond', label_dim=5, augment_dim=9, channel_mult_emb=2), sigma, classes=[1, 4], augment_labels=(9,)),
        'edm-ve-no-label': S('edm', dict(SONG, class_name='VEPrecond', label_dim=5, embedding_type='fourier', channel_mult_noise=2, resample_filter=[1, 5, 10, 10, 5, 1], encoder_type='residual'), sigma),
        'edm-iddpm': S('edm', dict(EDM, class_name='iDDPMPrecond', model_type='DhariwalUNet', model_channels=16, channel_mult=[1, 2], num_blocks=1, attn_resolutions=[8], augment_dim=9, label_dim=3, M=100), sigma, classes=[1, 2], augment_labels=(9,)),
        'edm-heads': S('edm', dict(EDM, sigma_data=.5, model_type='DhariwalUNet', model_channels=32, channel_mult=[1, 4], num_blocks=0, attn_resolutions=[4]), sigma),
        'diffae-convolutions': S('diffae', dict(DAE, resblock_updown=False, use_new_attention_order=True), z=(32,)),
        'diffae-uneven': S('diffae', dict(DAE, num_input_res_blocks=2, input_channel_mult=[1, 1], enc_channel_mult=[1, 1, 2], enc_attn_resolutions=[2], resnet_cond_channels=32, num_res_blocks=3, num_heads=1), z=(32,)),
        'diffae-uneven-encode': S('diffae', dict(DAE, enc_channel_mult=[1, 1, 2], enc_attn_resolutions=[2], resblock_updown=False, conv_resample=False, num_head_channels=16), run='_encode'),
        'latent-relu': S('diffae-latent', dict(LAT, activation='relu', use_norm=False, condition_bias=0, last_act='tanh', num_time_layers=3, time_last_act=True), x=(16,)),
        'latent-lrelu': S('diffae-latent', dict(LAT, activation='lrelu', num_time_layers=1), x=(16,)),
        'lucidrains-self': S('lucidrains', dict(dim=8, dim_mults=[1, 2, 2], channels=3, attn_dim_head=8, attn_heads=[2, 1, 3], self_condition=True, learned_variance=True, init_dim=12, full_attn=[True, False, True]), x=(8, 12, 3), z=(8, 12, 3)),
        'lucidrains-learned': S('lucidrains', dict(dim=8, dim_mults=[1, 2], channels=1, attn_dim_head=[4, 8], learned_sinusoidal_cond=True, learned_sinusoidal_dim=8, out_dim=4), [.3, 1.7], (8, 8, 1)),
        'lucidrains-theta': S('lucidrains', dict(dim=8, dim_mults=[1], channels=3, attn_dim_head=8, sinusoidal_pos_emb_theta=500)),
        'k-upscaler': S('unet2d_condition', K(['', X, X], [X, X, ''], in_channels=3, out_channels=2, block_out_channels=[32, 64, 64], layers_per_block=2, mid_block_type=None,
                                                norm_num_groups=None, act_fn='gelu', cross_attention_dim=12, conv_in_kernel=1, conv_out_kernel=1, time_cond_proj_dim=4,
                                                timestep_post_act='gelu', time_embedding_type='fourier', time_embedding_dim=64), [.3, 1.7], z=(5, 12), timestep_cond=(4,)),
        'k-blocks': S('unet2d_condition', K([X, ''], ['', X], in_channels=3, out_channels=3, block_out_channels=[32, 64], layers_per_block=1, norm_num_groups=8, cross_attention_dim=12), z=(5, 12)),
        'k-pixels': S('unet2d', K([X, X], [X, ''], block_out_channels=[64, 64], layers_per_block=2, norm_num_groups=None, time_embedding_dim=64)),
        'dual': S('unet2d_condition', dict(LATENT, **BLOCKS, dual_cross_attention=True), z=(334, 12)),
        'dual-with-picture': S('unet2d_condition', dict(LATENT, down_block_types=[X + 'DownBlock2D', 'Simple' + X + 'DownBlock2D'], up_block_types=['Simple' + X + 'UpBlock2D', X + 'UpBlock2D'],
                                                        dual_cross_attention=True, only_cross_attention=True, layers_per_block=2, transformer_layers_per_block=2,
                                                        encoder_hid_dim=9, encoder_hid_dim_type='text_image_proj'), z=(324, 9), image_embeds=(12,)),
        'kandinsky': S('unet2d_condition', dict(LATENT, **BLOCKS, encoder_hid_dim=9, encoder_hid_dim_type='text_image_proj', addition_embed_type='text_image'),
                       z=(5, 9), image_embeds=(12,), text_embeds=(12,)),
        'kandinsky-hint': S('unet2d_condition', dict(LATENT, **BLOCKS, in_channels=7, encoder_hid_dim=9, encoder_hid_dim_type='image_proj', addition_embed_type='image_hint'),
                            image_embeds=(9,), hint=(64, 64, 3)),
        'odd-pooled': S('unet2d_condition', dict(LATENT, block_out_channels=[8, 16, 16], down_block_types=['ResnetDownsampleBlock2D'] * 2 + ['DownBlock2D'],
                                                 up_block_types=['UpBlock2D'] * 3), x=(7, 11, 3), z=(5, 12)),
        'dit-geglu': S('dit', dict(DIT, activation_fn='geglu', out_channels=6), classes=[3, 1]),
        'dit-swiglu': S('dit', dict(DIT, activation_fn='swiglu', norm_elementwise_affine=True, norm_eps=1e-2), classes=[5, 0]),
        'dit-quick-gelu': S('dit', dict(DIT, activation_fn='geglu-approximate', attention_bias=False, patch_size=4), classes=[3, 1]),
        'dit-silu': S('dit', dict(DIT, activation_fn='linear-silu', sample_size=4), classes=[3, 1]),
        'dit-gelu': S('dit', dict(DIT, activation_fn='gelu', patch_size=1, num_layers=1), classes=[3, 1]),
        'kl-attention': S('autoencoder_kl', dict(KL, down_block_types=['AttnDownEncoderBlock2D', 'DownEncoderBlock2D'], up_block_types=['UpDecoderBlock2D', 'AttnUpDecoderBlock2D'],
                                                 layers_per_block=2, act_fn='mish', use_quant_conv=False), run='_encode'),
        'kl-bare': S('autoencoder_kl', dict(KL, down_block_types=['DownEncoderBlock2D', 'AttnDownEncoderBlock2D'], up_block_types=['AttnUpDecoderBlock2D', 'UpDecoderBlock2D'],
                                            act_fn='gelu', use_post_quant_conv=False, mid_block_add_attention=False), run='_decode'),
        'small-condmlp': S('smalldiffusion-condmlp', dict(dim=2, hidden_dims=[16, 32], cond_dim=4, num_classes=3), sigma, (2,), classes=[3, 1]),
        'small-mlp-scaled': S('smalldiffusion-mlp', dict(dim=3, hidden_dims=[16, 16], Scaled=True), sigma, (3,)),
        'small-unet': S('smalldiffusion-unet', dict(in_dim=8, in_ch=3, out_ch=3, ch=32, ch_mult=[1, 2], embed_ch_mult=2, num_res_blocks=1, attn_resolutions=[8], cond_embed=dict(hidden_size=64, num_classes=4), Scaled=True), sigma, classes=[4, 0]),
        'small-dit': S('smalldiffusion-dit', dict(in_dim=8, channels=1, patch_size=4, depth=1, head_dim=8, num_heads=2, cond_embed=dict(hidden_size=16, num_classes=4), Scaled=True), sigma, (8, 8, 1), classes=[4, 0]),
    }


def reference(M, spec):
    net, calls = M.build({'family': spec['family'], **spec['config']})
    net.double().eval()  # before loading: some of their parameters are float32 whatever the default is
    state = net.state_dict()
    keys = sorted(k for k in state if 'cond_layers' not in k)
    filled = {k: torch.from_numpy(fill(k, state[k].shape, .7 * (n + 1), spec['config'])).reshape(state[k].shape) for n, k in enumerate(keys)}
    net.load_state_dict(filled, strict=False)

    def noise(name, shape, phase):
        w = torch.from_numpy(waves(2 * int(np.prod(shape)), phase)).reshape(2, *shape)
        return (w.permute(0, 3, 1, 2).contiguous() if w.ndim == 4 else w).requires_grad_()
    inputs = {'x': noise('x', spec['x'], 1)}
    if spec.get('run') not in ('_encode', '_decode'):
        inputs['t'] = torch.tensor(spec['t'], dtype=torch.float64)
    for name, phase in (('z', 2), ('augment_labels', 3), ('timestep_cond', 5), *ADDED.items()):
        if name in spec:
            inputs[name] = noise(name, spec[name], phase)
    if 'classes' in spec:
        inputs['class'] = torch.tensor(spec['classes'])
    y = calls[spec.get('run', '')](inputs)
    g = torch.from_numpy(waves(y.numel(), 4)).reshape(y.permute(0, 2, 3, 1).shape if y.ndim == 4 else y.shape)
    g = g.permute(0, 3, 1, 2) if y.ndim == 4 else g
    named = dict(net.named_parameters())
    wrt = [k for k in inputs if inputs[k].requires_grad]
    for p in named.values():
        p.requires_grad_(True)
    params = [k for k in keys if k in named]
    y = calls[spec.get('run', '')](inputs)
    grads = torch.autograd.grad(y, [inputs[k] for k in wrt] + [named[k] for k in params], g, allow_unused=True)
    out = {'y': sums(y), **{'g_' + k: sums(v) for k, v in zip(wrt, grads)}}
    if spec['family'].startswith(('edm', 'lucidrains', 'smalldiffusion-mlp', 'smalldiffusion-condmlp')):
        out['keys'] = {k: list(state[k].shape) for k in keys}  # these read their structure off the keys
    out['g_theta'] = flat_sums([v if v is not None else torch.zeros_like(named[k]) for k, v in zip(params, grads[len(wrt):])])
    return out


def interpolate(x, size=None, scale_factor=None, mode='nearest', of=torch.nn.functional.interpolate, **k):
    """score_sde_pytorch gives the mode where PyTorch has scale_factor."""
    return of(x, size, None if isinstance(scale_factor, str) else scale_factor, scale_factor if isinstance(scale_factor, str) else mode, **k)


def main(shared, checkouts, out):
    torch.nn.functional.interpolate = interpolate
    sys.path.insert(0, shared + '/fixtures')
    import make_authors as M
    M.FAMILIES.update({'edm': ('edm', 'preconditioners', edm), 'unet2d': ('', '', diffusers_unet('UNet2DModel')),
                       'unet2d_condition': ('', '', diffusers_unet('UNet2DConditionModel')),
                       'dit': ('', '', diffusers_dit), 'autoencoder_kl': ('', '', diffusers_kl)})
    result = {}
    for name, spec in specs(M).items():
        repository = M.FAMILIES[spec['family']][0]
        with M.checkout(checkouts, repository) if repository else contextlib.nullcontext():
            M.build({'family': spec['family'], **spec['config']})
            with M.exact():
                result[name] = {**spec, 'config': {'family': spec['family'], **spec['config']}, **reference(M, spec)}
        print(name, result[name]['y'], flush=True)
    with open(out, 'w') as f:
        f.write('{\n' + ',\n'.join(f'{json.dumps(k)}: {json.dumps(v)}' for k, v in result.items()) + '\n}\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
