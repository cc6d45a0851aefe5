#!/usr/bin/env python3
"""Times costate and PyTorch alternately on the same U-Net and prints one table.

    bench/peers/compare.py fashion-unet --net fashion --rivals DIR --threads 2 --batch 1 --rounds 3

DIR holds torch_unet.py, which needs torch and diffusers in the Python of --python; neither belongs to costate. Both sides
compute one forward and one vector-Jacobian product in x with frozen weights. No timing decides a test.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path


def arguments():
    here = Path(__file__).resolve().parents[2]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", help="what costate eval takes")
    p.add_argument("--net", default="fashion", choices=["cifar10", "fashion", "sd15"], help="the same network, there")
    p.add_argument("--rivals", type=Path, required=True, help="the folder of torch_unet.py")
    p.add_argument("--costate", type=Path, default=here / "build" / "costate")
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--modes", default="eager,compile", help="PyTorch modes, each a row")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--repeat", type=int, default=15)
    p.add_argument("--rounds", type=int, default=3, help="how often the sides take turns")
    return p.parse_args()


def environment(threads):
    """Settings of other libraries slow PyTorch down; without bound threads its pool spins against itself."""
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env["OMP_NUM_THREADS"] = str(threads)
    if threads > 1:
        env["OMP_PROC_BIND"] = "true"
    return env


def run(command, env):
    done = subprocess.run([str(c) for c in command], env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nfailed with {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def time_costate(a):
    out = run([a.costate, "eval", a.model, "--repeat", a.repeat, "--vjp", "--wrt", "x", "--threads", a.threads,
               "--batch", a.batch, "--json"], dict(os.environ))
    j = json.loads(out)
    return {k: (j[k]["min"], j[k]["median"]) for k in ("forward_ms", "vjp_ms")}


def time_torch(a, mode):
    out = run([a.python, a.rivals / "torch_unet.py", "--net", a.net, "--wrt", "x", "--threads", a.threads, "--batch",
               a.batch, "--repeats", a.repeat, "--mode", mode], environment(a.threads))
    j = json.loads(out.strip().splitlines()[-1])
    return {k: tuple(j[k]) for k in ("forward_ms", "vjp_ms")}


def main():
    a = arguments()
    if not (a.rivals / "torch_unet.py").is_file():
        sys.exit(f"{a.rivals} holds no torch_unet.py")
    sides = {"costate": lambda: time_costate(a)}
    for mode in a.modes.split(","):
        sides[f"torch {mode}"] = lambda mode=mode: time_torch(a, mode)
    seen = {side: [] for side in sides}
    for _ in range(a.rounds):
        for side, measure in sides.items():  # in turn, so that a busy minute meets all
            seen[side].append(measure())
    print(f"{a.net}, batch {a.batch}, {a.threads} thread(s): ms; ratio = median / costate's median")
    print(f"{'':16}{'forward min':>12}{'median':>10}{'ratio':>8}{'vjp min':>12}{'median':>10}{'ratio':>8}")
    ours = {}
    for side, rounds in seen.items():
        row = f"{side:16}"
        for what in ("forward_ms", "vjp_ms"):
            low = min(r[what][0] for r in rounds)
            middle = statistics.median(r[what][1] for r in rounds)
            row += f"{low:12.2f}{middle:10.2f}{middle / ours.setdefault(what, middle):8.2f}"
        print(row)


if __name__ == "__main__":
    main()
