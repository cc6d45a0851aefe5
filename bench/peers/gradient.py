#!/usr/bin/env python3
"""Times gradients through a whole DDIM sampler, costate's and PyTorch's, alternately, and prints one table.

    bench/peers/gradient.py fashion-unet --net fashion --rivals DIR --steps 10 --batch 1 --rounds 3

DIR holds torch_gradient.py and torch_unet.py, which need torch and diffusers in the Python of --python; neither belongs to
costate. One thread, frozen weights, the gradient of <w, x_0> in x_T. What is shown is processor time a step: that of a run
of twice the steps less that of one, so that starting, loading and packing weights do not count, nor does a busy machine.
`forwards` is in forward evaluations of costate, `layer` what is spent beside the network; `MiB` what the gradient of 2 N steps adds to the peak. No timing decides a test.
"""
import argparse
import json
import os
import resource
import sys
from pathlib import Path

from compare import environment, run


def arguments():
    here = Path(__file__).resolve().parents[2]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", help="what costate grad takes")
    p.add_argument("--net", default="fashion", choices=["cifar10", "fashion"], help="the same network, there")
    p.add_argument("--rivals", type=Path, help="the folder of torch_gradient.py [without it costate alone]")
    p.add_argument("--costate", type=Path, default=here / "build" / "costate")
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--adjoints", default="checkpointed,adjointdeis-1,adjointdeis-2m")
    p.add_argument("--methods", default="checkpoint,tape", help="of torch_gradient.py")
    p.add_argument("--steps", type=int, default=10, help="N; the longer run has 2 N")
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--rounds", type=int, default=3, help="how often the sides take turns")
    return p.parse_args()


def timed(command, env):
    """(processor milliseconds, standard output)"""
    def spent():
        u = resource.getrusage(resource.RUSAGE_CHILDREN)
        return u.ru_utime + u.ru_stime
    before = spent()
    out = run(command, env)
    return 1e3 * (spent() - before), out


def network(a, count, *vjp):
    return timed([a.costate, "eval", a.model, "--repeat", count, "--threads", 1, "--batch", a.batch, "--json", *vjp],
                 dict(os.environ))[0], 0


def costate_gradient(a, adjoint, steps):
    # Twice: the peak of the second has no weights to pack.
    ms, out = timed([a.costate, "grad", a.model, "-n", a.batch, "--steps", steps, "--grid", "t", "--adjoint",
                     f"{adjoint},{adjoint}", "--wrt", "x_T", "--threads", 1, "--json", "--quiet"], dict(os.environ))
    return ms / 2, json.loads(out)["adjoints"][1]["peak_bytes"] / 2**20


def torch_gradient(a, method, steps):
    ms, out = timed([a.python, a.rivals / "torch_gradient.py", "--net", a.net, "--steps", steps, "--method", method,
                     "--threads", 1, "--batch", a.batch, "--repeats", 1], environment(1, None))
    # Its peak counts from after one VJP of the network, which the line before has; it runs one warm-up more.
    network, own = (json.loads(line) for line in out.strip().splitlines()[-2:])
    return ms / 2, network["vjp_extra_mib"] + own["extra_mib"]


networks = "costate network alone"


def main():
    a = arguments()
    if a.rivals and not (a.rivals / "torch_gradient.py").is_file():
        sys.exit(f"{a.rivals} holds no torch_gradient.py")
    # The second is all that a step of a gradient asks of the network: an evaluation, and another one with its VJP.
    sides = {"costate forward": lambda n: network(a, n), networks: lambda n: network(a, n, "--vjp", "--wrt", "x")}
    for name in a.adjoints.split(","):
        sides[f"costate {name}"] = lambda n, name=name: costate_gradient(a, name, n)
    for name in a.methods.split(",") if a.rivals else []:
        sides[f"torch {name}"] = lambda n, name=name: torch_gradient(a, name, n)
    seen = {side: {a.steps: [], 2 * a.steps: []} for side in sides}
    for _ in range(a.rounds):
        for side, measure in sides.items():  # in turn, so that a busy minute meets all
            for steps in seen[side]:
                seen[side][steps].append(measure(steps))
    print(f"{a.net}, batch {a.batch}, one thread; processor time a step from {a.steps} and {2 * a.steps} steps, "
          f"the least of {a.rounds} rounds")
    print(f"{'':24}{'ms a step':>10}{'forwards':>10}{'layer':>8}{'time':>8}{'MiB':>9}{'memory':>8}")
    one = ours = alone = None
    for side, runs in seen.items():
        short, long = (min(ms for ms, _ in runs[n]) for n in (a.steps, 2 * a.steps))
        ms, mib = (long - short) / a.steps, min(m for _, m in runs[2 * a.steps])
        one = one or ms
        alone = ms if side == networks else alone
        row = f"{side:24}{ms:10.2f}{ms / one:10.2f}"
        if side not in ("costate forward", networks):
            ours = ours or (ms, mib)
            layer = f"{100 * (ms / alone - 1):.1f} %" if side.startswith("costate") else ""
            row += f"{layer:>8}{ms / ours[0]:8.2f}{mib:9.1f}{mib / ours[1]:8.2f}"
        print(row)


if __name__ == "__main__":
    main()
