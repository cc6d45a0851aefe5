#!/usr/bin/env python3
"""Times costate and PyTorch alternately on the same U-Nets: ratios against the targets, as a table and as JSON.

    bench/peers/compare.py --large DIR --rivals DIR --python VENV/bin/python --json out.json
    bench/peers/compare.py --large DIR --rivals DIR --only 'cifar10 b1' --threads 1 --rounds 5

--rivals holds torch_unet.py, which needs torch and diffusers in --python; --large a DDPM CIFAR-10 U-Net as a
diffusers folder (make_unet.py writes one). Neither belongs to costate. Ratios are PyTorch's median over costate's, PyTorch
in the faster of its modes. No timing decides a test.
"""
import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

# (name, network there, batch, what is differentiated, least ratio forward, vjp)
CASES = [
    ("cifar10 b1", "cifar10", 1, "x", 2.0, 2.0),
    ("cifar10 b16", "cifar10", 16, "x", 1.8, 1.8),
    ("cifar10 b16 training", "cifar10", 16, "theta", None, 1.3),
    ("fashion b1", "fashion", 1, "x", 3.0, 3.0),
    ("fashion b64", "fashion", 64, "x", 1.5, 1.5),
]


def arguments():
    here = Path(__file__).resolve().parents[2]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--large", type=Path, required=True, help="diffusers folder of the cifar10 network")
    p.add_argument("--rivals", type=Path, required=True, help="folder of torch_unet.py")
    p.add_argument("--costate", type=Path, default=here / "build" / "costate")
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--modes", default="eager,compile", help="PyTorch modes")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--repeat", type=int, default=7, help="runs a turn")
    p.add_argument("--rounds", type=int, default=3, help="how often the sides take turns")
    p.add_argument("--only", default="", help="cases, by comma; no extras")
    p.add_argument("--json", type=Path, help="also write everything there")
    p.add_argument("--cpu-clock", type=Path, help="a library to preload into both sides that makes their clock count CPU time: for "
                   "one thread on a busy machine")
    return p.parse_args()


def environment(threads, preload):
    """Settings of other libraries slow PyTorch down; without bound threads its pool spins against itself."""
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env["OMP_NUM_THREADS"] = str(threads)
    if threads > 1:
        env["OMP_PROC_BIND"] = "true"
    if preload:
        env["LD_PRELOAD"] = str(preload)
    return env


def run(command, env):
    done = subprocess.run([str(c) for c in command], env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nfailed with {done.returncode}:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


class Sides:
    """Both programs; every call returns {"forward_ms": [min, median], "vjp_ms": ..., "extra_mib": ...}."""

    def __init__(self, a):
        self.a = a
        self.models = {"cifar10": a.large, "fashion": "fashion-unet"}

    def costate(self, net, batch, wrt, threads, options=()):
        wanted = "x" if wrt == "x" else "x,theta"
        out = run([self.a.costate, "eval", self.models[net], "--repeat", self.a.repeat, "--vjp", "--wrt", wanted,
                   "--threads", threads, "--batch", batch, "--json", *options], environment(threads, self.a.cpu_clock))
        j = json.loads(out)
        return {"forward_ms": [j["forward_ms"][k] for k in ("min", "median")],
                "vjp_ms": [j["vjp_ms"][k] for k in ("min", "median")], "extra_mib": j["peak_bytes"]["vjp"] / 2**20,
                "isa": j["isa"], "conv": j["conv"]}

    def torch(self, mode, net, batch, wrt, threads):
        out = run([self.a.python, self.a.rivals / "torch_unet.py", "--net", net, "--wrt", wrt, "--threads", threads,
                   "--batch", batch, "--repeats", self.a.repeat, "--mode", mode], environment(threads, self.a.cpu_clock))
        j = json.loads(out.strip().splitlines()[-1])
        return {"forward_ms": j["forward_ms"], "vjp_ms": j["vjp_ms"], "extra_mib": j["vjp_extra_mib"],
                "torch": j["torch"]}


def combined(rounds):
    """Least minimum and median of medians over the turns; the memory of the first, before caches fill."""
    row = dict(rounds[0])
    for what in ("forward_ms", "vjp_ms"):
        row[what] = [min(r[what][0] for r in rounds), statistics.median(r[what][1] for r in rounds)]
    return row


def compare_case(sides, case, threads):
    name, net, batch, wrt, _, _ = case
    turns = {"costate": lambda: sides.costate(net, batch, wrt, threads)}
    for mode in filter(None, sides.a.modes.split(",")):
        turns[mode] = lambda mode=mode: sides.torch(mode, net, batch, wrt, threads)
    seen = {side: [] for side in turns}
    for _ in range(sides.a.rounds):
        for side, measure in turns.items():  # in turn, so that a busy minute meets all
            seen[side].append(measure())
    return {"case": name, "threads": threads, **{side: combined(r) for side, r in seen.items()}}


def verdict(found, least, lower_is_better=False):
    if least is None:
        return ""
    return "met" if (found <= least if lower_is_better else found >= least) else f"short of {least:g}"


def case_lines(row, case):
    ours = row["costate"]
    rivals = {k: v for k, v in row.items() if isinstance(v, dict) and k != "costate"}
    row["ratios"] = {}
    for what, least in (("forward_ms", case[4]), ("vjp_ms", case[5])):
        if not rivals or (what == "forward_ms" and case[3] == "theta"):
            continue
        best = min(v[what][1] for v in rivals.values())
        ratio = row["ratios"][what] = best / ours[what][1]
        theirs = "".join(f"{rivals[m][what][1]:10.2f}" if m in rivals else f"{'-':>10}" for m in ("eager", "compile"))
        yield (f"{case[0]:22}{row['threads']:>8}  {what[:-3]:8}{ours[what][0]:10.2f}{ours[what][1]:10.2f}{theirs}{ratio:8.2f}  "
               f"{verdict(ratio, least)}")


def extras(sides, rows):
    """Targets of costate alone, and of memory: (what, found, bound, smaller is better)."""
    by = {(r["case"], r["threads"]): r for r in rows}
    b1, b16 = by.get(("cifar10 b1", 1)), by.get(("cifar10 b16", 1))
    if b1:
        yield "vjp / forward, b1, 1 thread", b1["costate"]["vjp_ms"][1] / b1["costate"]["forward_ms"][1], 2.05, True
        direct = sides.costate("cifar10", 1, "x", 1, ["--conv", "direct"])
        wide = sides.costate("cifar10", 1, "x", 1, ["--dtype", "f64"])
        half = sides.costate("cifar10", 1, "x", 1, ["--dtype", "bf16"])
        for what in ("forward_ms", "vjp_ms"):
            yield f"f64 / f32 direct, {what[:-3]}", wide[what][1] / direct[what][1], 2.6, True
        yield "f32 / bf16, forward", b1["costate"]["forward_ms"][1] / half["forward_ms"][1], 1.5, False
    if b16 and "eager" in b16:
        yield "memory of vjp b16 / PyTorch's", b16["costate"]["extra_mib"] / b16["eager"]["extra_mib"], 1 / 3, True
    for name, least in (("cifar10 b1", 1.85), ("cifar10 b16", 1.9)):
        one, two = by.get((name, 1)), by.get((name, 2))
        if one and two and not sides.a.cpu_clock:
            for what in ("forward_ms", "vjp_ms"):
                yield (f"2 threads / 1 thread, {name} {what[:-3]}",
                       one["costate"][what][1] / two["costate"][what][1], least, False)
    # The first adjoint also pays for packed weights; the third is the first again, without.
    out = run([sides.a.costate, "grad", "fashion-unet", "-n", 1, "--steps", 50, "--class", 3, "--wrt", "x_T", "--adjoint",
               "checkpointed,direct,checkpointed", "--json"], dict(os.environ))
    peaks = [x["peak_bytes"] for x in json.loads(out)["adjoints"]]
    yield "memory of 50 steps, tape / checkpointed, fashion b1", peaks[1] / peaks[2], 50, False
    # What eval takes beyond five forwards: three to warm up, one timed, one to see how convolutions run.
    forward = 1e-3 * b1["costate"]["forward_ms"][1] if b1 else 0
    yield "start-up of eval, s of CPU", cpu_seconds([sides.a.costate, "eval", sides.a.large, "--repeat", 1, "--threads", 1]) - 5 * forward, 0.3, True


def cpu_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command, dict(os.environ))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    a = arguments()
    if not (a.rivals / "torch_unet.py").is_file():
        sys.exit(f"{a.rivals} holds no torch_unet.py")
    sides = Sides(a)
    rows = []
    print(f"{'':22}{'threads':>8}  {'':8}{'ours min':>10}{'median':>10}{'eager':>10}{'compile':>10}{'ratio':>8}")
    for case in CASES:
        for threads in map(int, a.threads.split(",")):
            if not a.only or case[0] in a.only.split(","):
                rows.append(compare_case(sides, case, threads))
                print("\n".join(case_lines(rows[-1], case)), flush=True)
    result = {"machine": platform.processor() or platform.machine(), "date": time.strftime("%Y-%m-%d %H:%M"),
              "load": os.getloadavg(), "cases": rows}
    if not a.only:
        result["extras"] = []
        for what, found, bound, lower in extras(sides, rows):
            result["extras"].append({"what": what, "found": found, "bound": bound})
            print(f"{what:58}{found:8.2f}  {verdict(found, bound, lower)}")
    if a.json:
        a.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
