"""Tests the gate: names of cases and the choice among them, its verdict on made-up times, and runs of small cases
of the library beside itself, as it is and with one side made slower or made to compute something else.

usage: gate_test.py bench/gate libhone.so libhone_gate.so [hone-bench]
"""

import array
import contextlib
import ctypes
import math
import re
import subprocess
import sys

GATE, LIBHONE, ADAPTER, *HONE_BENCH = sys.argv[1:]
sys.path.insert(0, GATE)
import cases  # noqa: E402
import gate  # noqa: E402
import sides  # noqa: E402
import turns  # noqa: E402
import verdict  # noqa: E402
from cases import case_name  # noqa: E402

NAME = "backward/softmax/f32/avx2/b3/h14/kv7/q17/k193/d65/causal/threads:2"
ISAS = ["sse2", "avx2", "avx512"]
ACTIVATIONS = ["softmax", "sigmoid", "bayes_softmax"]


def expect(true, what):
    if not true:
        sys.exit(f"gate_test.py: {what}")


def expect_close(value, right, what):
    expect(math.isclose(value, right, rel_tol=1e-9), f"{what} is {value}, should be {right}")


def refusal(call, kind):
    """The sentence of the exception."""
    try:
        found = call()
    except kind as error:
        return str(error)
    sys.exit(f"gate_test.py: not refused: {found}")


def check_names():
    right = case_name.Case("backward", "softmax", "f32", "avx2", 3, 14, 7, 17, 193, 65, 2, causal=True)
    expect(case_name.parse(NAME) == right, "a name is read wrongly")
    right = case_name.parse(NAME.replace("causal", "window9/hidden12"))
    expect((right.causal, right.window, right.documents, right.hidden) == (False, 9, 0, 12), "words are read wrongly")
    expect(right.variant == "window9/hidden12", f"the words in one are {right.variant}")
    names = [NAME, NAME.replace("/kv7", ""), NAME.replace("/causal", "")]
    names += [NAME.replace("causal", words) for words in
              ("causal/window512", "window1/documents17/hidden99", "hidden1/lengths", "causal/sink/bnhd", "single_location")]  # fmt: skip
    names.append(NAME.replace("d65", "d65/dv7"))
    names.append(NAME.replace("k193", "k17").replace("causal", "causal/window3/hidden10/ragged"))
    if HONE_BENCH:
        listed = subprocess.check_output([*HONE_BENCH, "--benchmark_list_tests"], text=True).split()
        expect(len(listed) > 1000, "hone-bench lists next to nothing")
        names += listed
    for name in names:
        expect(case_name.parse(name).name == name, f"{name} is written as {case_name.parse(name).name}")
    for part, wrong, sentence in [
        ("backward", "backwards", "'backwards' should be forward or backward"),
        ("f32", "f16", "'f16' should be f32 or f64"),
        ("b3", "b0", "'b0' should be the batch, as b1"),
        ("kv7", "kv", "'kv' should be the heads of k and v, as kv2, or the queries, as q1024"),
        ("kv7/q17", "kv7/q-1", "'q-1' should be the queries, as q1024"),
        ("kv7/q17/k193", "q17", "'d65' should be the keys, as k1024"),
        ("causal", "causal/window", "'window' should be a window, as window512, documents, as documents4, hidden "
         "keys in percent, as hidden10, lengths, ragged, sink, bnhd, single_location, or the threads, as threads:1"),
        ("causal", "ragged/causal", "'causal' should be sink, bnhd, single_location, or the threads, as threads:1"),
        ("causal", "causal/single_location", "single_location goes with no other word"),
        ("causal", "lengths/ragged", "lengths pad a batch and ragged packs it: one of the two"),
        ("causal", "documents2/lengths", "documents are of equal length: without lengths and ragged"),
        ("causal", "documents18", "documents18 want 18 queries and keys, or more"),
        ("causal", "hidden100", "'hidden100' should be 99 percent at most"),
        ("d65/causal", "d65/dv7/single_location", "single_location has keys that are the values: leave dv out"),
        ("k193/d65/causal", "k17/d65/ragged/bnhd", "ragged tensors are [total, H, D] already: leave bnhd out"),
        ("causal", "ragged", "ragged queries have the keys' offsets: k193 should be k17"),
        ("q17/k193/d65/causal", "q15/k15/d65/ragged", "ragged sequences have 16 rows at least: q15 is too few"),
        ("/threads:2", "", "it lacks the threads, as threads:1"),
        ("threads:2", "threads:2/x", "'x' is more than a name has"),
    ]:
        said = refusal(lambda: case_name.parse(NAME.replace(part, wrong)), case_name.BadName)
        expect(said == sentence, f"{wrong} for {part}: '{said}'")


def check_choice():
    for isas, cores, count in [(ISAS, 2, 30), (["sse2", "avx2"], 2, 29), (["neon64"], 1, 17), (ISAS, 1, 28)]:
        found = cases.listed(isas, cores)
        expect(len(found) == count, f"{len(found)} cases on {isas} with {cores} cores")
        expect(all(c.isa in isas and c.threads <= cores and c.h % c.kv == 0 for c in found), "a case cannot run")
    listed = cases.listed(ISAS, 2)
    expect(cases.leave_out(listed, case_name.WORDS) == (listed, None), "a case is left out whose words are known")
    older, remark = cases.leave_out(listed, ["causal", "single_location"])
    expect(older == listed[:24], "what is left has words that are not known")
    words = "window, documents, hidden, ragged, lengths"
    expect(remark == f"6 cases are left out: BASE's hone.h does not know {words}", f"'{remark}'")

    def choose(*wanted):
        return cases.choose(wanted, listed, ACTIVATIONS, ISAS)

    expect(choose() == listed, "without a choice it is not all")
    expect([c.name for c in choose(NAME)] == [NAME], "a case by its name")
    avx2 = [c for c in listed if c.isa == "avx2"]
    expect(choose("avx2") == avx2, "a regular expression")
    backward = [c for c in avx2 if c.direction == "backward"]
    expect(choose("^backward.*avx2", "avx2") == list(dict.fromkeys(backward + avx2)), "a case is found twice")
    for wanted, sentence in [
        (NAME.replace("softmax", "hardmax"), "'hardmax' should be an activation, one of softmax, "),
        (NAME.replace("avx2", "avx10"), "'avx10' should be an instruction set .*one of sse2, "),
        (NAME.replace("kv7", "kv5"), "kv5 should divide h14"),
        (NAME.replace("causal", "sink"), "the gate does not time sink"),
        (NAME.replace("d65", "d65/dv7"), "the gate does not time dv"),
        (NAME.replace("f32", "f16"), "is no case: 'f16' should be f32 or f64; and as a regular"),
        ("(", "no regular expression: "),
    ]:
        said = refusal(lambda: choose(wanted), cases.BadChoice)
        expect(re.search(sentence, said), f"{wanted}: '{said}'")


def made_up(tree, again=(1.0, 1.0, 1.0, 1.0, 1.0), difference=0.0):
    """A look at five turns in which a call of BASE takes 2 s; the others' times are given in times of that."""
    return verdict.look("made up", [(2.0, 2 * a, 2 * t) for a, t in zip(again, tree)], difference)


def check_verdict():
    one = made_up(tree=(0.8, 1.0, 0.5, 1.25, 2.0), again=(1.0, 0.8, 1.25, 1.0, 0.5))
    expect_close(one.base_seconds, 2, "BASE's time")
    expect_close(one.tree_seconds, 2, "the tree's time")
    expect_close(one.ratio, 1, "the ratio")  # of 0.5, 0.8, 1, 1.25, 2
    expect_close(one.spread, 0.45, "the spread")
    expect_close(one.noise, 1.57 * 0.25 / math.sqrt(5), "the noise")  # the quartiles are 1 and 1.25
    expect_close(made_up([1] * 5, again=[1.25] * 5).noise, 0.2, "the noise of what is steady")

    def phrases(*looks):
        return "; ".join(verdict.failures(looks))

    even, slow = made_up([1] * 5), made_up([1 / 0.92] * 5)
    expect(phrases(even, made_up([0.5] * 5)) == "", "it fails what is as fast, or faster")
    expect(phrases(*[even] * 9, slow) == "below 0.93: made up 0.920", "a slow case among ten")
    hidden = made_up([1 / 0.92] * 5, again=[1.1] * 5)
    expect(hidden.remark == "noise" and phrases(*[even] * 9, hidden) == "", "a slow case beside larger noise")
    expect(phrases(*[made_up([1 / 0.96] * 5)] * 3) == "the geometric mean 0.960 is below 0.97", "the mean")
    noisy = [made_up([1 / 0.96] * 5, again=[1.1] * 5)] * 3
    expect(phrases(*noisy) == "", "a mean beside larger noise")
    for difference in (2e-4, math.nan):
        other = made_up([1] * 5, difference=difference)
        expect(phrases(even, other) == "other results: made up", f"a difference of {difference}")
    expect(phrases(made_up([1] * 5, difference=5e-5)) == "", "rounding")


def check_second_look():
    """A case below 0.97 is timed again, with more turns, and that counts."""
    asked = []
    chosen = [case_name.parse(NAME), case_name.parse(NAME.replace("q17", "q19"))]

    def look(case, count):
        asked.append((case.q, count))
        return made_up([1 / 0.96 if asked == [(17, 15)] else 1 / 0.98] * 5)

    looks = gate.compare(chosen, look)
    expect(asked == [(17, 15), (19, 15), (17, 45)], f"looks at {asked}")
    expect([round(one.ratio, 2) for one in looks] == [0.98, 0.98], "the second look does not count")


def check_turns():
    """In each turn the sides alternate; the next begins with the last; a turn gives the medians."""
    order = []

    def run(side, seconds):
        return lambda calls: order.append((side, calls)) or calls * seconds * (100 if len(order) == 1 else 1)

    rows = turns.take_turns([run("a", 1e-4), run("b", 2e-4)], 2, 1e-4)
    one_turn = [("a", 10), ("b", 10)] * 20
    expect(order == one_turn + [(side, calls) for side, calls in reversed(one_turn)], "the order of the turns")
    for row in rows:
        expect_close(row[0], 1e-4, "the median of a turn")
        expect_close(row[1], 2e-4, "the median of a turn")
    order.clear()
    turns.take_turns([run("a", 3.0), run("b", 3.0)], 3, 3.0)
    expect(order == [(side, 1) for side in "abbaab"], "long calls")


def check_difference(side):
    def difference(dtype, a, b):
        a, b = (array.array("f" if dtype == "f32" else "d", values) for values in (a, b))
        addresses = a.buffer_info()[0], b.buffer_info()[0]
        return side.adapter.gate_difference(dtype.encode(), *addresses, len(a))

    for dtype in ("f32", "f64"):
        expect_close(difference(dtype, [1, -4, 2], [1.5, -4, 1]), 0.25, "the difference")
        for wrong in ([1, math.nan], [1, math.inf]):
            expect(math.isnan(difference(dtype, [1, 2], wrong)), f"{wrong} has a difference")
            expect(math.isnan(difference(dtype, wrong, [1, 2])), f"{wrong} has a difference")
        expect(math.isnan(difference(dtype, [0, 0], [0, 0])), "nothing is compared with nothing")


class Other(sides.Side):
    """Hides keys."""

    def open(self, gate_case):
        gate_case.causal = 1
        return super().open(gate_case)


class Slow(sides.Side):
    """Makes three calls of each."""

    def open(self, gate_case):
        call = super().open(gate_case)
        run = call.run
        call.run = lambda workspace, times=1: run(workspace, 3 * times)
        return call


class Blind(sides.Side):
    """Does not know windows, masks and lengths."""

    def open(self, gate_case):
        gate_case.window_left = gate_case.window_right = -1
        gate_case.mask = gate_case.key_lengths = None
        return super().open(gate_case)


class Idle(sides.Side):
    """Computes nothing."""

    def open(self, gate_case):
        call = super().open(gate_case)
        call.run = lambda workspace, times=1: 1e-3 * times
        return call


def check_tensors(side, isa):
    """Backward reads what forward writes; the single-location model shares its query and dout, and its v is k."""
    name = f"forward/softmax/f32/{isa}/b3/h10/kv5/q17/k193/d24/threads:1"
    o = []
    for direction in ("forward", "backward"):
        timed = turns.Timed(case_name.parse(name.replace("forward", direction)), [side])
        timed.calls[0].run(timed.workspace)
        o.append(timed.tensors.all["o"])
        timed.close()
    difference = side.adapter.gate_difference(b"f32", o[0].memory.address, o[1].memory.address, o[0].count)
    expect(difference == 0, f"backward's o is not forward's: {difference}")

    one = f"backward/softmax/f32/{isa}/b3/h5/kv1/q1/k17/d24/single_location/threads:1"
    tensors = sides.Tensors(case_name.parse(one), side)
    case = tensors.as_gate_case("backward")
    strides = [(view.batch_stride, view.head_stride, view.row_stride) for view in (case.q, case.dout, case.dq, case.k)]
    expect(strides == [(0, 24, 24), (24, 0, 24), (0, 24, 24), (17 * 24, 17 * 24, 24)], f"strides {strides}")
    expect(case.v.data == case.k.data and not case.dk.data and not case.dv.data, "v is not k, or dq not alone")


def check_words(side, isa):
    """A side that does not heed a word does other work; ragged sequences lie in one row, with offsets."""
    blind, other = Blind(LIBHONE, ADAPTER), Other(LIBHONE, ADAPTER)
    known = [word for word in case_name.WORDS if word != "sink"]
    expect(sorted(side.words) == sorted(known), f"the library knows the words {side.words}")
    for direction in ("forward", "backward"):
        for words, wrong in [("causal/window5", blind), ("window6", blind), ("documents3", blind),
                             ("hidden40", blind), ("lengths", blind), ("window9/ragged", other)]:  # fmt: skip
            rows = "q190/k190" if "ragged" in words else "q17/k193"
            case = case_name.parse(f"{direction}/softmax/f32/{isa}/b3/h6/kv3/{rows}/d24/{words}/threads:1")
            for beside, same in ((side, True), (wrong, False)):
                with contextlib.closing(turns.Timed(case, [side, beside])) as timed:
                    told = timed.difference()
                expect((told <= verdict.SAME) == same, f"{case.name}: the difference is {told}")

    name = f"forward/softmax/f32/{isa}/b2/h6/kv3/q17/k193/d24/bnhd/threads:1"
    view = sides.Tensors(case_name.parse(name), side).as_gate_case("forward").k
    strides = view.batch_stride, view.head_stride, view.row_stride
    expect(strides == (193 * 3 * 24, 24, 3 * 24), f"keys of bnhd have the strides {strides}")

    tensors = sides.Tensors(case, side)
    offsets = list((ctypes.c_int64 * 4).from_address(tensors.visible.offsets))
    lengths = [end - begin for begin, end in zip(offsets, offsets[1:])]
    expect(offsets[0] == 0 and all(16 <= n <= 190 for n in lengths), f"ragged sequences have {lengths} rows")
    view, total = tensors.as_gate_case("backward").k, tensors.visible.total
    expect((view.head_stride, view.row_stride) == (24, 3 * 24), "ragged keys are not [total, H, D]")
    expect(total == offsets[3] and tensors.all["k"].count == total * 3 * 24, f"ragged keys have {total} rows")


def check_real(isa):
    """In this process, with the one library as BASE and as the tree."""
    side, slow, other, idle = (kind(LIBHONE, ADAPTER) for kind in (sides.Side, Slow, Other, Idle))
    check_difference(side)
    check_tensors(side, isa)
    check_words(side, isa)
    for direction, variant in [("forward", ""), ("backward", ""), ("forward", "/single_location")]:
        name = f"{direction}/softmax/f32/{isa}/b2/h10/kv5/q17/k193/d24{variant}/threads:1"
        case = case_name.parse(name)
        expect(gate.time(case, 5, [side, side, slow]).remark == "SLOW", f"{name}: what is slow is not told")
        for wrong in (other, idle):
            expect(not gate.time(case, 2, [side, side, wrong]).is_same_work, f"{name}: other work is not told")
    for name in [f"backward/bayes_softmax/f64/{isa}/b2/h10/kv5/q17/k193/d24/threads:2",
                 f"backward/relu/f32/{isa}/b1/h7/q17/k19/d5/causal/threads:1",
                 f"backward/bayes_softmax/f32/{isa}/b71/h5/kv1/q1/k17/d193/single_location/threads:1"]:  # fmt: skip
        with contextlib.closing(turns.Timed(case_name.parse(name), [side, side])) as timed:
            expect(timed.difference() == 0, f"{name}: the library differs from itself")


def run_gate(*wanted):
    words = [sys.executable, f"{GATE}/gate.py", "--name", "itself", "--base", LIBHONE, ADAPTER]
    words += ["--tree", LIBHONE, ADAPTER, "--", *wanted]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    print(done.stdout, done.stderr)
    return done


def check_program(isa):
    name = f"backward/softmax/f32/{isa}/b1/h5/q65/k193/d64/causal/threads:1"
    done = run_gate(name)
    row = re.search(rf"^{name} +([\d.]+) +([\d.]+) +([\d.]+) +[\d.]+ +[\d.]+$", done.stdout, re.MULTILINE)
    expect(done.returncode == 0 and done.stdout.endswith("gate: passed\n"), "the library is slower than itself")
    expect(row and float(row[1]) > 0 and 0.8 < float(row[3]) < 1.25, "the table has no such row")
    done = run_gate(name.replace("h5", "x5"))
    expect(done.returncode == 2 and "'x5' should be the query heads" in done.stderr, "a bad name is not told")


def main():
    check_names()
    check_choice()
    check_verdict()
    check_second_look()
    check_turns()
    isa = sides.Side(LIBHONE, ADAPTER).isas[-1]
    check_real(isa)
    check_program(isa)


main()
