"""The rows of bench/gpu/bench_gpu.cpp by PyTorch (cuDNN, cuBLAS, its attention): channels-last, TF32 off, replayed as CUDA graphs.

"both" is forward and backward together. A row that fails says so; none is started once --seconds are over. --compile adds group norm
by torch.compile.
"""
import argparse
import re
import statistics
import time

import torch
import torch.nn.functional as F

from torch_device import graphed

DEVICE = "cuda"
CONVS = [(3, 128, 128, 32), (3, 256, 256, 16), (3, 512, 512, 8), (3, 320, 320, 64), (3, 640, 640, 32)]
PRODUCTS = [(1, 1, 512, 512), (1, 16, 512, 512), (1, 1024, 512, 512), (16, 256, 256, 256), (16, 1024, 64, 1024), (1, 4096, 320, 1280),
            (1, 4096, 1280, 320), (1, 4096, 4096, 4096)]
HEADS = [(1, 256, 1, 256), (16, 256, 1, 256), (16, 256, 4, 64), (1, 1024, 8, 64), (16, 1024, 8, 32), (1, 4096, 8, 40), (2, 1024, 8, 80),
         (4, 1024, 16, 128)]
NORMS = [(1, 128, 32), (16, 128, 32), (64, 128, 32), (1, 512, 8), (1, 320, 64), (8, 320, 64)]


def numbers(*shape, dtype, channels_last=False):
    """Drawn on the host: the device's generator takes no part in captures."""
    x = torch.randn(1, *shape[1:]).expand(*shape).to(DEVICE, dtype)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x.contiguous()


def microseconds(f):
    """The median of five groups of replays; of plain calls, marked *, where f cannot be captured."""
    f()  # chooses engines
    try:
        run, mark = graphed(f), ""
    except RuntimeError:
        torch.cuda.synchronize()
        run, mark = f, "*"
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def group(times):
        start.record()
        for _ in range(times):
            run()
        stop.record()
        stop.synchronize()
        return 1000 * start.elapsed_time(stop) / times

    group(2)
    times = max(2, min(50, int(1500 / group(3))))
    return statistics.median(group(times) for _ in range(5)), mark


def conv(kernel, cin, cout, size, batch, dtype):
    x, w, g = (numbers(*s, dtype=dtype, channels_last=True)
               for s in ((batch, cin, size, size), (cout, cin, kernel, kernel), (batch, cout, size, size)))
    pad, flop = kernel // 2, 2 * batch * cout * size * size * kernel * kernel * cin

    def back(*mask):
        return torch.ops.aten.convolution_backward(g, x, w, None, [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, [*mask, False])

    return (("fwd", lambda: F.conv2d(x, w, padding=pad), flop), ("dx", lambda: back(True, False), flop),
            ("dw", lambda: back(False, True), flop))


def product(batch, m, k, n, dtype):
    a, b, across = (numbers(*s, dtype=dtype) for s in ((batch, m, k), (batch, k, n), (batch, n, k)))
    flop = 2 * batch * m * k * n
    return ("ab", lambda: torch.bmm(a, b), flop), ("ab^T", lambda: torch.bmm(a, across.transpose(1, 2)), flop)


def attention(batch, tokens, heads, width, dtype):
    q, k, v, g = (numbers(batch, tokens, heads, width, dtype=dtype).transpose(1, 2) for _ in range(4))
    grown = [t.clone().requires_grad_() for t in (q, k, v)]
    flop = 4 * batch * heads * tokens * tokens * width
    return (("fwd", lambda: F.scaled_dot_product_attention(q, k, v), flop),
            ("both", lambda: torch.autograd.grad(F.scaled_dot_product_attention(*grown), grown, g), 3.5 * flop))


def norm_silu(x, gamma, beta):
    return F.silu(F.group_norm(x, 32, gamma, beta))


def norm(batch, channels, size, dtype, f=norm_silu):
    x, g = (numbers(batch, channels, size, size, dtype=dtype, channels_last=True) for _ in range(2))
    gamma, beta = numbers(channels, dtype=dtype), numbers(channels, dtype=dtype)
    grown = [t.clone().requires_grad_() for t in (x, gamma, beta)]
    return (("fwd", lambda: f(x, gamma, beta), 0), ("dx both", lambda: torch.autograd.grad(f(grown[0], gamma, beta), grown[0], g), 0),
            ("all both", lambda: torch.autograd.grad(f(*grown), grown, g), 0))


def rows(compiled):
    for dtype in (torch.float32, torch.bfloat16):
        for batch in (1, 16, 64):
            for c in CONVS:
                if batch < 64 or c[3] ** 2 * c[1] <= 32 * 32 * 128:
                    yield f"conv{c[0]} {c[1]}>{c[2]}@{c[3]} n{batch}", dtype, lambda c=c: conv(*c, batch, dtype)
        for c in ((3, 3, 128, 32), (3, 128, 3, 32), (1, 256, 128, 32)):
            yield f"conv{c[0]} {c[1]}>{c[2]}@{c[3]} n16", dtype, lambda c=c: conv(*c, 16, dtype)
        for p in PRODUCTS:
            yield f"matmul {p[0]} x {p[1:]}".replace(", ", ","), dtype, lambda p=p: product(*p, dtype)
        for h in HEADS:
            yield f"attention n{h[0]} t{h[1]} h{h[2]} d{h[3]}", dtype, lambda h=h: attention(*h, dtype)
        for n in NORMS:
            yield f"group_norm_silu n{n[0]} {n[1]}@{n[2]}", dtype, lambda n=n: norm(*n, dtype)
    if compiled:
        for dtype in (torch.float32, torch.bfloat16):
            for n in NORMS:
                yield f"group_norm_silu n{n[0]} {n[1]}@{n[2]} compiled", dtype, lambda n=n: norm(*n, dtype, torch.compile(norm_silu))


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--match", default="", help="only rows whose name and type hold this regular expression")
    options.add_argument("--compile", action="store_true")
    how = options.parse_args()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    print(f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}")
    end = time.monotonic() + how.seconds
    for what, dtype, make in rows(how.compile):
        if not re.search(how.match, f"{what} {dtype}"):
            continue
        if time.monotonic() > end:
            print("the rest was left out: out of time")
            break
        line = f"{what:<34} {'f32 ' if dtype == torch.float32 else 'bf16'}  "
        try:
            for name, f, flop in make():
                us, mark = microseconds(f)
                line += f"{name} {us:8.1f} us{mark} " + (f"{flop / us * 1e-6:6.1f} TF  " if flop else " ")
        except Exception as error:  # a row of a table: the others are still wanted
            line += f"failed: {str(error).splitlines()[0]}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
