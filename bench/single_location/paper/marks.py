"""marks.py: the stages that theory found, and their marks and names in the picture of overlaps over time."""

import collections
import math
import statistics

from look import SMALL, number

APART = 1.2  # times as late, by which sets of draws differ visibly
NAMES = {"together": "move together", "part": "part along direction {}"}


def stages(summary):
    """[(time, stage)] of theory, one for each that a set of draws found, at the mean of their times, in the order
    of time. A stage's "range" is from the least of those to the most."""
    times, stage_of = collections.defaultdict(list), {}
    for single in summary["theory"]:
        for stage in single["stages"]:
            times[stage["stage"]].append(stage["time"])
            stage_of[stage["stage"]] = stage
    found = [(statistics.fmean(t), stage_of[name] | {"range": (min(t), max(t))}) for name, t in times.items()]
    return sorted(found, key=lambda one: one[0])


def told_time(time, stage):
    """The mean over the sets of draws, or from the least to the most where these are far apart."""
    least, most = stage["range"]
    return f"t = {number(time)}" if most < APART * least else f"t = {number(least)} to {number(most)}"


def short(stage):
    """A stage's name for the picture: "part along direction 2", "head 3 changes sides along direction 2"."""
    return NAMES.get(stage["kind"], stage["stage"]).format(stage["direction"])


def rows_of_names(found, span, width):
    """[(time, text, row, whether the text is left of its line)], and how many rows. In this order few lines cross
    names: first those right of their line, from the latest on, then those left of it, from the earliest on.
    """
    rows, placed = [], []

    def place(time, text, left, wide, x):
        taken = (x - wide, x) if left else (x, x + wide)
        free = [n for n, row in enumerate(rows) if all(b <= taken[0] or taken[1] <= a for a, b in row)]
        if not free:
            rows.append([])
        row = free[0] if free else len(rows) - 1
        rows[row].append(taken)
        placed.append((time, text, row, left))

    names = []
    for time, stage in found:
        text = f"{short(stage)}: {told_time(time, stage)}"
        wide = 0.52 * SMALL * (len(text) + 2) / width
        x = math.log(time / span[0]) / math.log(span[1] / span[0])
        names.append((time, text, x + wide > 1.08, wide, x))
    for name in sorted(names, key=lambda name: (name[2], name[0] if name[2] else -name[0])):
        place(*name)
    return placed, len(rows)


def mark(panels, strip, placed):
    """Vertical lines through all panels, up to their names in the strip above."""
    for time, text, row, left in placed:
        for panel in panels:
            panel.axvline(time, color="#555555", linewidth=0.9, linestyle=(0, (3, 3)), zorder=1.2)
        strip.plot([time, time], [0, row + 0.9], color="#555555", linewidth=0.9, linestyle=(0, (3, 3)))
        strip.annotate(
            text,
            (time, row + 0.5),
            xytext=(-4 if left else 4, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=SMALL,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )


def title(found, heads):
    parting = [str(stage["direction"]) for _, stage in found if stage["kind"] == "part"]
    together = bool(found) and found[0][1]["kind"] == "together"  # before any parting
    if not parting:
        return f"{heads} heads {'move together and ' if together else ''}have not parted by the end"
    along = f"direction {', then '.join(parting)}"
    return f"{heads} heads {'move together, then part' if together else 'part'} along {along}"
