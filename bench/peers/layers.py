#!/usr/bin/env python3
"""Single convolutions, costate's and oneDNN's in turn: GFLOP/s of the best run of each and their ratio, as a table and as JSON.

    ninja -C build bench_costate bench_onednn        # the second where libdnnl-dev is installed
    bench/peers/layers.py --build build --rounds 3 --json layers.json

costate runs as it does in networks: Winograd where its rule takes it. oneDNN has plain NHWC, its own choice of algorithm and
weights that were laid out beforehand. No timing decides a test.
"""
import argparse
import json
from pathlib import Path

from compare import environment, run


def arguments():
    here = Path(__file__).resolve().parents[2]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=Path, default=here / "build")
    p.add_argument("--match", default="^conv .* (fwd|dx)/", help="a regular expression for the names")
    p.add_argument("--rounds", type=int, default=3, help="how often the sides take turns")
    p.add_argument("--json", type=Path, help="also write everything there")
    return p.parse_args()


def best(program, match):
    out = run([program, f"--benchmark_filter={match}", "--benchmark_min_time=0.05", "--benchmark_format=json"],
              environment(2, None))
    return {b["name"].removesuffix("/real_time"): b["best"] for b in json.loads(out)["benchmarks"]}


def main():
    a = arguments()
    programs = {side: a.build / "bench" / f"bench_{side}" for side in ("costate", "onednn")}
    missing = [str(p) for p in programs.values() if not p.is_file()]
    if missing:
        raise SystemExit(f"not built: {', '.join(missing)} (oneDNN: install libdnnl-dev and configure again)")
    seen = {side: {} for side in programs}
    for _ in range(a.rounds):
        for side, program in programs.items():
            for name, value in best(program, a.match).items():
                seen[side][name] = max(value, seen[side].get(name, 0))
    rows = [{"name": n, "costate": v, "onednn": seen["onednn"][n], "ratio": v / seen["onednn"][n]}
            for n, v in seen["costate"].items() if n in seen["onednn"]]
    print(f"{'layer / threads':32}{'costate':>10}{'oneDNN':>10}  GFLOP/s{'ratio':>8}")
    for r in rows:
        print(f"{r['name']:32}{r['costate']:10.1f}{r['onednn']:10.1f}{r['ratio']:17.2f}")
    if a.json:
        a.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
