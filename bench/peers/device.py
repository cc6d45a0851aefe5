#!/usr/bin/env python3
"""The half of tools/device-report that runs on the GPU machine: tests, sanitizers, times and rivals, as Markdown and JSON.

    bench/peers/device.py --kit build-device --out DIR [--parts tests,sanitizer,times,rivals] [--budget 400]

Parts run in this order until the budget (seconds) is spent; what it did not come to is said. Files are rewritten after each step, so
that a run which is cut off leaves what it had. Rivals are what torch_ddpm.py in KIT/rivals prints, PyTorch on the same network; it
does not belong to costate.
"""
import argparse
import datetime
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

BATCHES = (1, 16, 64)
TOOLS = {"memcheck": 60, "synccheck": 60, "initcheck": 60, "racecheck": 240}  # seconds each may take; racecheck needs minutes


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--kit", type=Path, required=True, help="what tools/device-report build has made")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--parts", default="tests,times,rivals,sanitizer")
    p.add_argument("--budget", type=float, default=400)
    p.add_argument("--repeat", type=int, default=20)
    p.add_argument("--network", type=Path, help="diffusers folder to time [written by the rival]")
    p.add_argument("--dtypes", default="f32,bf16")
    p.add_argument("--modes", default="graph,eager", help="of the rival: eager, graph, compile")
    return p.parse_args()


class Report:
    """Commands with what they said, in order; written after every one."""

    def __init__(self, a):
        self.a, self.start, self.steps, self.about = a, time.time(), [], {}

    def left(self):
        return self.a.budget - (time.time() - self.start)

    def run(self, name, command, limit=120.0):
        """The output, or None where it failed or there was no time."""
        words = [str(w) for w in command]
        step = {"name": name, "command": shlex.join(words)}
        self.steps.append(step)
        limit = min(limit, self.left())
        if limit < 3:
            step["status"] = "not run: the budget was spent"
            return self.write()
        began = time.time()
        try:
            # A group of its own: what a sanitizer started would go on otherwise, beside the steps that follow.
            with subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as p:
                try:
                    text = p.communicate(timeout=limit)[0]
                    step["status"] = "ok" if p.returncode == 0 else f"exit code {p.returncode}"
                except subprocess.TimeoutExpired:
                    os.killpg(p.pid, signal.SIGKILL)
                    text = p.communicate()[0]
                    step["status"] = f"stopped after {limit:.0f} s"
        except OSError as e:
            step["status"], text = str(e), ""
        step["seconds"] = round(time.time() - began, 2)
        step["output"] = text[-6000:]
        print(f"== {name}: {step['status']}, {step['seconds']} s", flush=True)
        if step["status"] != "ok":
            print(text[-2500:], flush=True)
        self.write()
        return text if step["status"] == "ok" else None

    def write(self):
        self.a.out.mkdir(parents=True, exist_ok=True)
        document = {"about": self.about, "steps": self.steps}
        (self.a.out / "gpu-results.json").write_text(json.dumps(document, indent=1))
        (self.a.out / "gpu-results.md").write_text(markdown(self.about, self.steps))


def about(kit):
    def first_line(command):
        try:
            return subprocess.run(command, text=True, capture_output=True, timeout=60).stdout.strip().splitlines()[-1]
        except (OSError, IndexError, subprocess.TimeoutExpired):
            return "not there"
    device, driver = (first_line(["nvidia-smi", f"--query-gpu={q}", "--format=csv,noheader"]) for q in ("name", "driver_version"))
    commit = (kit / "commit").read_text().strip().replace("\n", ", ") if (kit / "commit").is_file() else "unknown"
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"), "device": device, "driver": driver,
            "commit": commit, "costate": first_line([kit / "costate", "--version"]),
            "torch": first_line(["python3", "-c", "import torch; print(torch.__version__)"])}


def tests(r):
    for suite in ("gpu_replay", "gpu", "gpu_solvers", "gpu_networks", "gpu_commands"):
        r.run(f"tests {suite}", [r.a.kit / "test_gpu", f"--run_test={suite}", "--log_level=message", "--color_output=no"])


def sanitizer(r):
    # Calls that fail are no finding: one test asks for more memory than there is.
    for tool, limit in TOOLS.items():
        r.run(f"sanitizer {tool}", ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *(["--report-api-errors", "no"] if tool == "memcheck" else []),
                                    r.a.kit / "test_gpu", "--run_test=gpu"], limit)
    # Recorded work under the tool that sees every address.
    r.run("sanitizer memcheck of replays", ["compute-sanitizer", "--tool", "memcheck", "--error-exitcode", "9", r.a.kit / "test_gpu",
                                            "--run_test=gpu_replay/repeats_*,what_*,errors_*"], 60)


def network(r):
    if r.a.network is None:
        r.a.network = Path("/tmp/costate-cifar10")
        r.run("rival writes the network", ["python3", r.a.kit / "rivals/torch_ddpm.py", "--write", r.a.network])
    return r.a.network


def times(r):
    where = network(r)
    for dtype in r.a.dtypes.split(","):
        for batch in BATCHES:
            text = r.run(f"costate {dtype} batch {batch}", [r.a.kit / "costate", "eval", where, "--device", "cuda", "--dtype", dtype, "--batch", batch,
                                                           "--repeat", r.a.repeat, "--vjp", "--wrt", "x", "--json"])
            if text:
                r.steps[-1]["times"] = json.loads(text)
    for batch in (1, 16):
        r.run(f"profile f32 batch {batch}", [r.a.kit / "costate", "eval", where, "--device", "cuda", "--batch", batch, "--repeat", 5, "--vjp", "--wrt", "x", "--profile"])
    r.run("sample", [r.a.kit / "costate", "sample", where, "--device", "cuda", "-n", "1", "--steps", "50", "--json", "--out", "/tmp/costate-sample.h5"])
    r.run("gradient", [r.a.kit / "costate", "grad", where, "--device", "cuda", "-n", "1", "--steps", "50", "--adjoint", "checkpointed",
                       "--wrt", "x_T", "--loss", "norm", "--json", "--out", "/tmp/costate-gradient.h5"])


def rivals(r):
    script = r.a.kit / "rivals/torch_ddpm.py"
    for mode in r.a.modes.split(","):
        text = r.run(f"rival {mode}", ["python3", script, "--modes", mode, "--dtypes", "f32,tf32,bf16"], 240)
        r.steps[-1]["rows"] = [json.loads(line) for line in (text or r.steps[-1].get("output", "")).splitlines() if line.startswith("{")]


def markdown(facts, steps):
    lines = ["# Figures of the CUDA kernels", "", "Written by `tools/device-report run`.", ""]
    lines += [f"- {k}: {v}" for k, v in facts.items()]
    lines += ["", "| step | outcome | s |", "|---|---|---|"]
    for s in steps:
        found = re.findall(r"No errors detected|\d+ failures? .*|ERROR SUMMARY: .*", s.get("output", ""))
        lines.append(f"| {s['name']} | {s.get('status', '')}{'; ' + found[-1] if found else ''} | {s.get('seconds', '')} |")
    rows = [row for s in steps for row in s.get("rows", [])]
    ours = [(s["name"], s["times"]) for s in steps if "times" in s]
    if ours:
        lines += ["", "DDPM CIFAR-10 U-Net, minimum ms; PyTorch in its fastest mode of those measured.", "",
                  "| | forward | VJP | PyTorch forward | VJP | ratio forward | VJP |", "|---|---|---|---|---|---|---|"]
    for name, t in ours:
        _, dtype, _, batch = name.split()
        theirs = [row for row in rows if row["dtype"] == dtype and str(row["batch"]) == batch]
        f, v = t["forward_ms"]["min"], t["vjp_ms"]["min"]
        if theirs:
            tf, tv = (min(row[k][0] for row in theirs) for k in ("forward_ms", "vjp_ms"))
            lines.append(f"| {dtype}, batch {batch} | {f:.2f} | {v:.2f} | {tf:.2f} | {tv:.2f} | {tf / f:.2f} | {tv / v:.2f} |")
        else:
            lines.append(f"| {dtype}, batch {batch} | {f:.2f} | {v:.2f} | | | | |")
    lines += ["", "Commands:", "", "```"] + [s["command"] for s in steps] + ["```", ""]
    return "\n".join(lines)


def main():
    a = arguments()
    r = Report(a)
    r.about = about(a.kit)
    print(json.dumps(r.about), flush=True)
    known = {"tests": tests, "times": times, "rivals": rivals, "sanitizer": sanitizer}
    for part in a.parts.split(","):
        if part not in known:
            sys.exit(f"--parts {part}: there are {', '.join(known)}")
        known[part](r)
    r.write()
    print((a.out / "gpu-results.md").read_text())
    return 0 if all(s.get("status") == "ok" for s in r.steps) else 1


if __name__ == "__main__":
    sys.exit(main())
