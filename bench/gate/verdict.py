"""verdict.py owns what the gate makes of the times: ratios, their noise, and whether it passes.

A turn gives three times of a call: of BASE, of BASE again (another image of the same library), of the tree.

    ratio    the median over the turns of BASE's time / the tree's in the same turn; above 1 the tree is faster
    spread   between the quartiles of these
    noise    how far from 1 BASE beside itself may be: the distance of the same median, for BASE again in the place
             of the tree, plus 1.57 spreads / sqrt(turns), the notch of a box plot
"""

import dataclasses
import math
import statistics

MEAN_LIMIT = 0.97  # of all cases' ratios, the geometric mean
CASE_LIMIT = 0.93
SECOND_LOOK = 0.97  # a case whose ratio is below this is timed again
SAME = 1e-4  # results that differ by more, over the largest value, are not of the same work


@dataclasses.dataclass(frozen=True)
class Look:
    name: str
    base_seconds: float
    tree_seconds: float
    ratio: float
    spread: float
    self_ratio: float
    notch: float
    difference: float

    @property
    def noise(self):
        return abs(1 - self.self_ratio) + self.notch

    @property
    def is_same_work(self):
        return self.difference <= SAME

    @property
    def needs_another(self):
        return self.ratio < SECOND_LOOK

    @property
    def remark(self):
        if not self.is_same_work:
            return f"DIFFERS by {self.difference:.1e}"
        if self.ratio >= CASE_LIMIT:
            return ""
        return "noise" if hidden(self.ratio, self.noise) else "SLOW"


def look(name, rows, difference):
    """rows: [(BASE's seconds, BASE's again, the tree's) of each turn]"""
    base, again, tree = zip(*rows)
    ratio, spread = _summary([a / b for a, b in zip(base, tree)])
    self_ratio, self_spread = _summary([a / b for a, b in zip(base, again)])
    return Look(
        name=name,
        base_seconds=statistics.median(base),
        tree_seconds=statistics.median(tree),
        ratio=ratio,
        spread=spread,
        self_ratio=self_ratio,
        notch=1.57 * self_spread / math.sqrt(len(rows)),
        difference=difference,
    )


def hidden(ratio, noise):
    """Whether BASE beside itself may be as far from 1."""
    return noise > 1 - ratio


def mean(looks):
    """The geometric mean of the ratios, and its noise."""
    notch = math.sqrt(sum(one.notch**2 for one in looks)) / len(looks)
    self_mean = statistics.geometric_mean(one.self_ratio for one in looks)
    return statistics.geometric_mean(one.ratio for one in looks), abs(1 - self_mean) + notch


def failures(looks):
    """Why the gate fails, a phrase each."""
    reasons = []
    different = [one.name for one in looks if not one.is_same_work]
    if different:
        reasons.append(f"other results: {', '.join(different)}")
    ratio, noise = mean(looks)
    if ratio < MEAN_LIMIT and not hidden(ratio, noise):
        reasons.append(f"the geometric mean {ratio:.3f} is below {MEAN_LIMIT}")
    slow = [f"{one.name} {one.ratio:.3f}" for one in looks if one.remark == "SLOW"]
    if slow:
        reasons.append(f"below {CASE_LIMIT}: {', '.join(slow)}")
    return reasons


def _summary(values):
    """The median, and the distance between the quartiles."""
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return statistics.median(values), upper - lower
