"""gate.py: whether the working tree is as fast as a revision, BASE: both libraries in one process, in turn.

BASE is loaded twice, and its second image takes part as a third side: what the gate would say if nothing had
changed is measured in the same turns. All sides read and write the same memory.

exit status: 0 passed, 1 failed, 2 a wrong argument
"""

import argparse
import contextlib
import pathlib
import shutil
import sys
import tempfile

import cases
import sides
import turns
import verdict

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
from report import machine  # noqa: E402

FIRST, SECOND = 15, 45  # turns
EXPLANATION = f"""\
ratio: BASE's time over the tree's, above 1 the tree is faster; the median of paired turns, {FIRST} a case.
spread: between the quartiles of the ratios. noise: how far from 1 BASE may be beside a second image of itself.
"""


def load(stack, options):
    """BASE, BASE again, and the tree. dlopen takes the same file for the same library: each is a copy."""
    folder = tempfile.TemporaryDirectory(prefix="gate-", dir=pathlib.Path(options.tree[0]).parent)
    folder = stack.enter_context(folder)
    loaded = []
    for name, (libhone, adapter) in (("base", options.base), ("again", options.base), ("tree", options.tree)):
        copy = pathlib.Path(folder, f"{name}.so")
        shutil.copy(libhone, copy)
        loaded.append(sides.Side(copy, adapter))
    return loaded


class Table:
    def __init__(self, chosen):
        self.width = max(len(case.name) for case in chosen)

    def head(self):
        print(f"{'case':<{self.width}} {'BASE ms':>9} {'tree ms':>9} {'ratio':>6} {'spread':>6} {'noise':>6}")

    def add(self, one):
        text = (
            f"{one.name:<{self.width}} {one.base_seconds * 1e3:9.3f} {one.tree_seconds * 1e3:9.3f}"
            f" {one.ratio:6.3f} {one.spread:6.3f} {one.noise:6.3f}  {one.remark}"
        )
        print(text.rstrip(), flush=True)


def time(case, count, loaded):
    """A look at the case, of so many turns."""
    try:
        with contextlib.closing(turns.Timed(case, loaded)) as timed:
            difference = timed.difference()
            return verdict.look(case.name, timed.turns(count), difference)
    except sides.SideError as error:
        raise sides.SideError(f"{case.name}: {error}") from None


def compare(chosen, look):
    """The last look at each case, which the table shows as they come: look(case, turns)."""
    looks = {}
    table = Table(chosen)
    table.head()
    for case in chosen:
        looks[case] = look(case, FIRST)
        table.add(looks[case])
    slow = [case for case, one in looks.items() if one.needs_another]
    if slow:
        print(f"\nAgain with {SECOND} turns, those below {verdict.SECOND_LOOK}:")
    for case in slow:
        looks[case] = look(case, SECOND)
        table.add(looks[case])
    return list(looks.values())


def finish(looks):
    """The last lines, and whether the gate passes."""
    ratio, noise = verdict.mean(looks)
    reasons = verdict.failures(looks)
    noisy = ["the mean"] if verdict.hidden(verdict.MEAN_LIMIT, noise) else []
    noisy += [one.name for one in looks if verdict.hidden(verdict.CASE_LIMIT, one.noise)]
    print(f"\ngeometric mean of {len(looks)}: {ratio:.3f}, noise {noise:.3f}")
    if noisy:
        print(f"noise may hide a slowdown to the limit ({verdict.MEAN_LIMIT} of the mean, {verdict.CASE_LIMIT} of a case) of:")
        print(*(f"    {name}" for name in noisy), sep="\n")
    if reasons:
        print(f"gate: failed: {'; '.join(reasons)}")
    else:
        print("gate: passed")
    return not reasons


def run(options):
    with contextlib.ExitStack() as stack:
        loaded = load(stack, options)
        isas = [isa for isa in loaded[0].isas if isa in loaded[-1].isas]
        activations = [word for word in loaded[0].activations if word in loaded[-1].activations]
        here = machine()
        listed = cases.listed(isas, here["cores"])
        chosen = cases.choose(options.cases, listed, activations, isas)
        words = [word for word in loaded[0].words if word in loaded[-1].words]
        chosen, remark = cases.leave_out(chosen, words)
        if not chosen:
            raise cases.BadChoice(remark)
        timed_isas = [isa for isa in isas if any(case.isa == isa for case in chosen)]
        print(f"BASE {options.name} beside the working tree")
        print(f"{here['cpu']}, {here['cores']} cores; {', '.join(timed_isas)} (the best here is {isas[-1]})")
        if remark:
            print(remark)
        print(EXPLANATION)
        return finish(compare(chosen, lambda case, count: time(case, count, loaded)))


def parse(arguments):
    parser = argparse.ArgumentParser(prog="gate.py", description=__doc__.partition("\n")[0])
    for side in ("base", "tree"):
        parser.add_argument(f"--{side}", nargs=2, required=True, metavar=("LIBHONE", "ADAPTER"))
    parser.add_argument("--name", required=True, help="what to call BASE")
    parser.add_argument("cases", nargs="*", help="names, as hone-bench has them, or regular expressions")
    return parser.parse_args(arguments)


def main():
    try:
        return 0 if run(parse(sys.argv[1:])) else 1
    except cases.BadChoice as error:
        print(f"gate: {error}", file=sys.stderr)
        return 2
    except sides.SideError as error:
        print(f"gate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
