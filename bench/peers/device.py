#!/usr/bin/env python3
"""The half of tools/device-report that runs on the GPU machine: tests, sanitizers, times and rivals, as Markdown and JSON.

    bench/peers/device.py --kit build-device --out DIR [--parts replay,times,rivals] [--budget 230] [--rehearse]

Parts run in the order given until the budget (seconds) is spent; what it did not come to is said. Files are rewritten after each step,
so that a run which is cut off leaves what it had. Rivals are bench/peers/torch_device.py's, PyTorch on the same networks in the same
run. Several runs' gpu-results.json become one report by --join A.json B.json. --rehearse: without a device, with the shim for one and
narrow networks, to see that each step starts and is understood; its figures mean nothing.
"""
import argparse
import datetime
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from device_tables import markdown

HERE = Path(__file__).resolve().parent
BATCHES = {"ddpm": (1, 16, 64, 256), "sd15": (1, 8)}
NARROW = ["--widths", "32,32,64,64"]  # of a rehearsal
TOOLS = {"memcheck": 60, "synccheck": 60, "initcheck": 60, "racecheck": 230}  # seconds each may take; racecheck needs minutes


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--kit", type=Path, help="what tools/device-report build has made")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--parts", default=",".join(PARTS), help="there are " + ", ".join(PARTS))
    p.add_argument("--budget", type=float, default=230)
    p.add_argument("--repeat", type=int, default=20)
    p.add_argument("--rehearse", action="store_true")
    p.add_argument("--join", type=Path, nargs="+", help="gpu-results.json of several runs: nothing is run")
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
        limit = min(limit * (4 if self.a.rehearse else 1), self.left())  # the shim's fibers take their time
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
        step["output"] = text[-200000:]
        print(f"== {name}: {step['status']}, {step['seconds']} s", flush=True)
        if step["status"] != "ok":
            print(text[-2500:], flush=True)
        self.write()
        return text if step["status"] == "ok" else None

    def costate(self, name, key, words, limit=120.0):
        """A measurement of the command, told by its JSON; `key` says what it is beside a rival's row."""
        text = self.run(name, [self.a.kit / "costate", *words, "--device", "cuda", "--json"], limit)
        if text:
            self.steps[-1]["ours"] = {**key, **json.loads(text[text.index("{"):])}

    def rival(self, name, words, limit=240.0):
        text = self.run(name, [sys.executable, HERE / "torch_device.py", *words, "--seconds", max(5, min(limit, self.left()) - 10),
                               *(NARROW + ["--repeats", 1] if self.a.rehearse else [])], limit)
        lines = (text or self.steps[-1].get("output", "")).splitlines()
        self.steps[-1]["rows"] = [json.loads(line) for line in lines if line.startswith("{")]
        for row in self.steps[-1]["rows"]:
            if "failed" in row or "left_out" in row:
                print(f"   {row}", flush=True)

    def write(self):
        self.a.out.mkdir(parents=True, exist_ok=True)
        document = {"about": self.about, "steps": self.steps}
        (self.a.out / "gpu-results.json").write_text(json.dumps(document, indent=1))
        (self.a.out / "gpu-results.md").write_text(markdown(self.about, self.steps))


def about(a):
    def last_line(command):
        try:
            return subprocess.run(command, text=True, capture_output=True, timeout=60).stdout.strip().splitlines()[-1]
        except (OSError, IndexError, subprocess.TimeoutExpired):
            return "not there"
    device, driver = (last_line(["nvidia-smi", f"--query-gpu={q}", "--format=csv,noheader"]) for q in ("name", "driver_version"))
    commit = (a.kit / "commit").read_text().strip().replace("\n", ", ") if (a.kit / "commit").is_file() else "unknown"
    rehearsal = {"rehearsal": "no device: the shim ran narrow networks, and no figure here means anything"} if a.rehearse else {}
    return {**rehearsal, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"), "device": device,
            "driver": driver, "commit": commit, "costate": last_line([a.kit / "costate", "--version"]),
            "torch": last_line([sys.executable, "-c", "import torch; print(torch.__version__, 'cuDNN', torch.backends.cudnn.version())"])}


def replay(r):
    r.run("tests gpu_replay", [r.a.kit / "test_gpu", "--run_test=gpu_replay", "--log_level=message", "--color_output=no"])


def tests(r):
    for suite in ("gpu", "gpu_warp_groups", "gpu_winograd", "gpu_solvers", "gpu_groups", "gpu_networks", "gpu_commands"):
        r.run(f"tests {suite}", [r.a.kit / "test_gpu", f"--run_test={suite}", "--log_level=message", "--color_output=no"])


def sanitizer(r):
    # Calls that fail are no finding: one test asks for more memory than there is.
    for tool, limit in TOOLS.items():
        r.run(f"sanitizer {tool}", ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *(["--report-api-errors", "no"] if tool == "memcheck" else []),
                                    r.a.kit / "test_gpu", "--run_test=gpu"], limit)
    # Recorded work, and copies that the chip makes, under the tool that sees every address.
    r.run("sanitizer memcheck of replays", ["compute-sanitizer", "--tool", "memcheck", "--error-exitcode", "9", r.a.kit / "test_gpu",
                                            "--run_test=gpu_replay/repeats_*,what_*,errors_*:gpu_warp_groups"], 60)


def network(r, name):
    """The network as a folder; bf16 for the large one, which is measured in nothing else."""
    folder = Path(f"/tmp/costate-{name}{'-narrow' if r.a.rehearse else ''}")
    if not (folder / "config.json").is_file():
        r.run(f"write {name}", [sys.executable, HERE / "torch_unets.py", name, folder, "--type", "bf16" if name == "sd15" else "f32",
                                *(NARROW if r.a.rehearse else [])])
    return folder


def evaluations(r, name, dtypes, more=()):
    where = network(r, name)
    for dtype in dtypes:
        for batch in BATCHES[name] if not r.a.rehearse else BATCHES[name][:1]:
            words = ["eval", where, "--dtype", "f32" if dtype == "tf32" else dtype, "--batch", batch, "--repeat", 1 if r.a.rehearse else r.a.repeat, "--vjp", "--wrt", "x", *more]
            r.costate(" ".join([f"costate {name} {dtype} batch {batch}", *more]),
                      {"what": "eval", "network": name, "dtype": dtype, "batch": batch, "how": " ".join(more)},
                      words + (["--matmul", "tf32"] if dtype == "tf32" else []))


def times(r):
    evaluations(r, "ddpm", ("f32", "bf16", "tf32"))
    for batch in (1, 16):
        r.run(f"profile f32 batch {batch}", [r.a.kit / "costate", "eval", network(r, "ddpm"), "--device", "cuda", "--batch", batch,
                                             "--repeat", 1 if r.a.rehearse else 5, "--vjp", "--wrt", "x", "--profile"])
        if r.a.rehearse:
            break


def batches(r, name):
    return ",".join(str(b) for b in (BATCHES[name] if not r.a.rehearse else BATCHES[name][:1]))


def rivals(r):
    r.rival("rival ddpm", ["eval", "ddpm", "--batches", batches(r, "ddpm"), "--dtypes", "f32,bf16", "--modes", "graph"])


def by_mode(r, mode):
    r.rival(f"rival ddpm by {mode}", ["eval", "ddpm", "--batches", "1" if r.a.rehearse else "1,64", "--dtypes", "bf16,f32", "--modes", mode])


def inductor(r):
    by_mode(r, "inductor")


def compiled(r):
    """max-autotune takes over 160 s for the first row."""
    by_mode(r, "compile")


def cudnn(r):
    """Own convolutions and attention beside cuDNN's: its tests, both ways in whole networks, and a table of shapes."""
    r.run("tests gpu_cudnn", [r.a.kit / "test_gpu", "--run_test=gpu_cudnn", "--log_level=message", "--color_output=no"])
    evaluations(r, "ddpm", ("f32", "bf16"), ("--conv", "cudnn"))


def kernels(r):
    """Single kernels by shape, convolutions beside cuDNN's."""
    r.run("kernels", [r.a.kit / "bench_gpu"], 90)


def winograd(r):
    """Winograd's convolutions in f32: their tests, both ways by shape, and whole networks with and without them."""
    r.run("tests gpu_winograd", [r.a.kit / "test_gpu", "--run_test=gpu_winograd", "--log_level=message", "--color_output=no"])
    r.run("kernels conv3", [r.a.kit / "bench_gpu", "--match", "conv3"], 60)
    for more in ((), ("--conv", "direct")):
        evaluations(r, "ddpm", ("f32",), more)


def gradient(r):
    """50 steps of DDIM and the checkpointed gradient in x_T; PyTorch's checkpoints every step as well."""
    where, steps = network(r, "ddpm"), 2 if r.a.rehearse else 50
    some = (1,) if r.a.rehearse else (1, 64)
    for dtype in ("f32", "bf16"):
        for batch in some:
            r.costate(f"costate gradient ddpm {dtype} batch {batch}", {"what": "gradient", "network": "ddpm", "dtype": dtype, "batch": batch, "how": ""},
                      ["grad", where, "-n", batch, "--steps", steps, "--dtype", dtype, "--adjoint", "checkpointed",
                       "--wrt", "x_T", "--loss", "norm", "--quiet"])


def gradient_rivals(r):
    r.rival("rival gradient ddpm", ["gradient", "ddpm", "--batches", "1" if r.a.rehearse else "1,64", "--dtypes", "bf16,f32", "--steps", 2 if r.a.rehearse else 50])


def large(r):
    evaluations(r, "sd15", ("bf16",))


def large_rivals(r):
    r.rival("rival sd15", ["eval", "sd15", "--batches", batches(r, "sd15"), "--dtypes", "bf16", "--modes", "graph"])


# In the order of their worth.
PARTS = {"replay": replay, "times": times, "rivals": rivals, "kernels": kernels, "cudnn": cudnn, "winograd": winograd, "gradient": gradient, "gradient-rivals": gradient_rivals, "sd": large, "sd-rivals": large_rivals,
         "tests": tests, "inductor": inductor, "compile": compiled, "sanitizer": sanitizer}


def reason(step):
    """The first line that speaks of an error, or the last."""
    lines = [line.strip() for line in step.get("output", "").splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "nothing more was said")


def joined(a):
    documents = [json.loads(path.read_text()) for path in a.join]
    r = Report(a)
    r.about, r.steps = documents[-1]["about"], [s for d in documents for s in d["steps"]]
    if len({(d["about"]["device"], d["about"]["commit"]) for d in documents}) > 1:
        sys.exit("--join: these are of several devices or commits; their figures do not belong into one table")
    r.write()
    return r


def main():
    a = arguments()
    if a.join:
        print((joined(a).a.out / "gpu-results.md").read_text())
        return 0
    unknown = [p for p in a.parts.split(",") if p not in PARTS]
    if unknown or a.kit is None:
        sys.exit(f"--parts {unknown[0]}: there are {', '.join(PARTS)}" if unknown else "give --kit")
    r = Report(a)
    r.about = about(a)
    print(json.dumps(r.about), flush=True)
    for part in a.parts.split(","):
        PARTS[part](r)
    r.write()
    print((a.out / "gpu-results.md").read_text())
    bad = [s for s in r.steps if s.get("status") != "ok" or any("failed" in row for row in s.get("rows", []))]
    for s in bad:
        print(f"NOT GOOD: {s['name']}: {s.get('status')}; {reason(s)}"[:300])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
