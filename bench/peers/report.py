"""report.py owns what is shown of the comparison: the table, line by line, its summary, and the JSON file.

The file: {"machine": {...}, "versions": {...}, "rows": [...]}, where a row has

    work, peer, threads             what was compared
    ratio, spread                   peer's time / hone's: its median over the rounds, and between its quartiles
    agreement                       the largest difference over the largest value; of backward, the worst gradient's;
                                    null where the peer computes nothing
    hone_seconds, peer_seconds      medians over the rounds, which are so many:
    rounds
    target                          the least ratio that hone aims at, or null
    remark                          the kernel that the peer says it took, or null
"""

import json
import os
import platform

HEAD = (
    f"{'work':<68} {'thr':>3}  {'peer':<30} {'hone ms':>9} {'peer ms':>9} {'ratio':>6} {'spread':>6}"
    f" {'agreement':>9}  target"
)
DIFFERENT = 1e-4  # an agreement above this is none
EXPLANATION = """\
ratio: the peer's time over hone's; above 1, hone is ahead. spread: between the quartiles of the rounds' ratios.
agreement: the largest difference of outputs or gradients over the largest value.
"""


class Report:
    """The table appears as its rows come; finish() ends it and writes the file."""

    def __init__(self, workers, path):
        self.path = path
        self.rows = []
        self.machine = machine()
        self.versions = {"python": platform.python_version()}
        for worker in workers.values():
            self.versions |= worker.versions
        print(f"\n{self.machine['cpu']}, {self.machine['cores']} cores")
        print("; ".join(f"{name} {version}" for name, version in self.versions.items()))
        print(EXPLANATION, HEAD, sep="\n", flush=True)
        self._last_work = None

    def add(self, row):
        if self._last_work not in (None, row["work"]):
            print()
        self._last_work = row["work"]
        print(line(row), flush=True)
        self.rows.append(row)

    def finish(self):
        """The summary, with every row where a peer is ahead or a target is missed, and the file. Whether there are
        rows, and all agree."""
        aimed = [row for row in self.rows if row["target"]]
        missed = [row for row in aimed if row["ratio"] < row["target"]]
        behind = [row for row in self.rows if is_behind(row)]
        print(f"\n{len(self.rows)} rows; of {len(aimed)} with a target {len(missed)} miss it", end="")
        print(f"; a peer is ahead in {len(behind)}.")
        different = [row for row in self.rows if not agrees(row)]
        show("Other results than hone's:", different)
        show("Missed:", missed)
        show("A peer is ahead:", behind)
        took = {f"{row['peer']}: {row['remark']}" for row in self.rows if row["remark"]}
        if took:
            print(f"\nKernels taken: {'; '.join(sorted(took))}.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": self.machine, "versions": self.versions, "rows": self.rows}
        self.path.write_text(json.dumps(content, indent=1) + "\n")
        print(f"\nThe full report: {self.path}")
        return bool(self.rows) and not different


def agrees(row):
    return row["agreement"] is None or row["agreement"] <= DIFFERENT


def is_behind(row):
    """Some peers do less than hone: there the target, which is below 1, says how far ahead they may be."""
    return row["ratio"] < min(1, row["target"] or 1)


def line(row):
    note = "" if agrees(row) else "DIFFERS "
    if row["target"]:
        note += f"{row['target']:g}x {'met' if row['ratio'] >= row['target'] else 'missed'}"
    if is_behind(row):
        note = f"{note} behind".strip()
    agreement = "" if row["agreement"] is None else f"{row['agreement']:.1e}"
    return (
        f"{row['work']:<68} {row['threads']:>3}  {row['peer']:<30} {row['hone_seconds'] * 1e3:9.3f}"
        f" {row['peer_seconds'] * 1e3:9.3f} {row['ratio']:5.2f}x {row['spread']:6.2f} {agreement:>9}"
        f"  {note}"
    ).rstrip()


def show(title, rows):
    if rows:
        print(f"\n{title}", *map(line, rows), sep="\n")


def machine():
    cpu = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as file:
        for entry in file:
            if entry.startswith("model name"):
                cpu = entry.partition(":")[2].strip()
                break
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "system": platform.platform()}
