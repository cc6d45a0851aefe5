"""PyTorch's times on a GPU for the networks of torch_unets.py, channels-last: an evaluation, one with its VJP in x, and the gradient of
a whole DDIM run with every step checkpointed. One JSON line a measurement, [min, median] in ms.

    torch_device.py eval ddpm --batches 1,16,64,256 --dtypes f32,tf32,bf16 --modes graph,compile,eager
    torch_device.py eval sd15 --batches 1,8 --dtypes bf16
    torch_device.py gradient ddpm --batches 1,64 --steps 50

graph: recorded as a CUDA graph; inductor: torch.compile as it is by default, and recorded as well; compile: its max-autotune, which takes
minutes a network. What fails says so and the rest goes on; none is started after --seconds.
"""
import argparse
import json
import time

import torch
from torch.utils.checkpoint import checkpoint

import torch_unets


COMPILED = {"inductor": "default", "compile": "max-autotune-no-cudagraphs"}


def timed(work, repeats, warm=3):
    for _ in range(warm):
        work()
    ms = []
    for _ in range(repeats):
        synchronize()
        start = time.perf_counter()
        work()
        synchronize()
        ms.append(1e3 * (time.perf_counter() - start))
    ms.sort()
    return [round(ms[0], 3), round(ms[len(ms) // 2], 3)]


def synchronize():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def graphed(work):
    """The same work, captured once and replayed."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = work()
    return lambda: (graph.replay(), kept)


def inputs(net, batch, kind, on):
    c = net.config
    x = torch.randn(batch, c["in_channels"], c["sample_size"], c["sample_size"], device=on, dtype=kind)
    more = [torch.randn(batch, 77, c["cross_attention_dim"], device=on, dtype=kind)] if "cross_attention_dim" in c else []
    return x.to(memory_format=torch.channels_last), torch.full((batch,), 500.0, device=on), more


def works_of(net, batch, kind, mode, on):
    """Forward and VJP, ready to be timed."""
    x, t, z = inputs(net, batch, kind, on)
    g, y = torch.randn_like(x), x.detach().requires_grad_(True)
    f = torch.compile(net, mode=COMPILED[mode]) if mode in COMPILED else net

    def forward():
        with torch.no_grad():
            return f(x, t, *z)

    def vjp():
        return torch.autograd.grad(f(y, t, *z), y, g)[0]

    works = [forward, vjp]
    for work in works:
        work()  # compiles, and chooses engines, before anything is recorded
    return [graphed(w) if mode != "eager" and on == "cuda" else w for w in works]


def gradient_of(net, batch, kind, steps, on):
    """d |x_0|^2 / d x_T of DDIM over the linear schedule of DDPM, in f32 outside the network."""
    x, t, z = inputs(net, batch, kind, on)
    abar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    levels = [int(i * 1000 / steps) for i in reversed(range(steps))]
    start = x.float().detach().requires_grad_(True)

    def step(x, i):
        a, b = abar[levels[i]].item(), abar[levels[i + 1]].item() if i + 1 < steps else 1.0
        eps = net(x.to(kind), torch.full_like(t, levels[i]), *z).float()
        return (x - (1 - a) ** 0.5 * eps) * (b / a) ** 0.5 + (1 - b) ** 0.5 * eps

    def work():
        x = start
        for i in range(steps):
            x = checkpoint(step, x, i, use_reentrant=False)
        return torch.autograd.grad((x * x).sum(), start)[0]

    return work


def measure(a, name, batch, dtype, mode):
    on = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = dtype == "tf32"
    torch.backends.cudnn.benchmark = True
    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    changes = {"block_out_channels": [int(w) for w in a.widths.split(",")], "sample_size": 8} if a.widths else {}
    net = torch_unets.make(name, on, **changes).to(kind).to(memory_format=torch.channels_last)
    row = {"torch": torch.__version__, "network": name, "what": a.what, "batch": batch, "dtype": dtype, "mode": mode}
    if on == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if on == "cuda" else 0
    if a.what == "eval":
        row["forward_ms"], row["vjp_ms"] = (timed(w, a.repeats) for w in works_of(net, batch, kind, mode, on))
    else:
        row["gradient_ms"], row["steps"] = timed(gradient_of(net, batch, kind, a.steps, on), min(a.repeats, 2), warm=1), a.steps
    row["peak_mib"] = round((torch.cuda.max_memory_allocated() - before) / 2**20, 1) if on == "cuda" else None
    print(json.dumps(row), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["eval", "gradient"])
    p.add_argument("network", choices=torch_unets.CONFIGS)
    p.add_argument("--batches", default="1,16,64")
    p.add_argument("--dtypes", default="f32,tf32,bf16")
    p.add_argument("--modes", default="graph,compile,eager")
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--repeats", type=int, default=20)
    p.add_argument("--seconds", type=float, default=240)
    p.add_argument("--widths", help="narrower blocks and smaller pictures, for a rehearsal: 32,32,64,64")
    a = p.parse_args()
    end = time.monotonic() + a.seconds
    failed = False
    for mode in a.modes.split(",") if a.what == "eval" else ["checkpointed"]:
        for dtype in a.dtypes.split(","):
            for batch in (int(b) for b in a.batches.split(",")):
                case = {"network": a.network, "batch": batch, "dtype": dtype, "mode": mode}
                if time.monotonic() > end:
                    print(json.dumps({**case, "left_out": "the time was spent"}), flush=True)
                    continue
                try:
                    measure(a, a.network, batch, dtype, mode)
                except Exception as error:  # one row of many
                    print(json.dumps({**case, "failed": str(error).splitlines()[0][:200]}), flush=True)
                    failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
