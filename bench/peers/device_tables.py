"""gpu-results.md from the steps that device.py has run."""
import re


def outcome(step):
    found = re.findall(r"No errors detected|\d+ failures? .*|ERROR SUMMARY: .*", step.get("output", ""))
    return step.get("status", "") + ("; " + found[-1] if found else "")


def best(rows, key, what):
    """The least of the rivals' times for the same work, and in which mode."""
    same = [(row[what][0], row["mode"]) for row in rows if what in row and all(row.get(k) == key[k] for k in ("what", "network", "dtype", "batch"))]
    return min(same) if same else None


def cells(mine, theirs):
    """Ours, theirs, how many times as fast."""
    if theirs is None:
        return f"{mine:.2f} | | |"
    return f"{mine:.2f} | {theirs[0]:.2f} ({theirs[1]}) | {theirs[0] / mine:.2f} |"


def evaluations(ours, rows):
    lines = ["", "Whole networks: an evaluation, and one with its VJP in x. Least ms; PyTorch in its fastest mode of those measured.", "",
             "| | forward | PyTorch | ratio | VJP | PyTorch | ratio | peak MiB of the VJP |", "|---|---|---|---|---|---|---|---|"]
    for o in ours:
        line = f"| {o['network']} {o['dtype']} {o['how']}, batch {o['batch']} | "
        line += cells(o["forward_ms"]["min"], best(rows, o, "forward_ms")) + " " + cells(o["vjp_ms"]["min"], best(rows, o, "vjp_ms"))
        lines.append(line + f" {o['peak_bytes'].get('vjp', 0) / 2**20:.0f} |")
    return lines


def gradients(ours, rows):
    lines = ["", "Gradient in x_T of a whole DDIM run, checkpointed: ms, and MiB above what was there before.", "",
             "| | ours | PyTorch | ratio | MiB | PyTorch |", "|---|---|---|---|---|---|"]
    for o in ours:
        run = o["adjoints"][-1] if "adjoints" in o else o
        peaks = [row["peak_mib"] for row in rows if row.get("what") == "gradient" and all(row.get(k) == o[k] for k in ("dtype", "batch"))]
        lines.append(f"| {o['network']} {o['dtype']}, batch {o['batch']} | {cells(1e3 * run['seconds'], best(rows, o, 'gradient_ms'))} "
                     f"{run['peak_bytes'] / 2**20:.1f} | {peaks[0] if peaks else ''} |")
    return lines


def markdown(facts, steps):
    lines = ["# Figures of the CUDA kernels", "", "Written by `tools/device-report run`.", ""]
    lines += [f"- {k}: {v}" for k, v in facts.items()]
    lines += ["", "| step | outcome | s |", "|---|---|---|"]
    lines += [f"| {s['name']} | {outcome(s)} | {s.get('seconds', '')} |" for s in steps]
    rows = [row for s in steps for row in s.get("rows", [])]
    for row in rows:
        if "failed" in row or "left_out" in row:
            lines.append(f"| {row['network']} {row['dtype']} batch {row['batch']}, {row['mode']} | {row.get('failed') or row['left_out']} | |")
    ours = [s["ours"] for s in steps if "ours" in s]
    for what, table in (("eval", evaluations), ("gradient", gradients)):
        some = [o for o in ours if o["what"] == what]
        lines += table(some, rows) if some else []
    for s in steps:
        if s["name"].startswith("kernels"):
            lines += ["", f"{s['name'].capitalize()} by shape, convolutions beside cuDNN's:", "", "```", s.get("output", "").rstrip(), "```"]
    lines += ["", "Commands:", "", "```"] + [s["command"] for s in steps] + ["```", ""]
    return "\n".join(lines)
