"""bench_test.py: hone-bench as its user meets it: names, presets, reports, another's kernel, and what it says of wrong
input.

usage: bench_test.py bench hone-bench naive.c include
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

BENCH, PROGRAM, NAIVE, INCLUDE = sys.argv[1:]
sys.path.insert(0, BENCH)
import case_name  # noqa: E402

SMALL = "forward/softmax/f32/best/b2/h10/kv5/q17/k193/d24/causal/window9/threads:2"
# Values that divide nothing, and each word once.
ANY = [
    SMALL,
    "backward/relu/f64/best/b1/h7/q71/k97/d65/dv5/threads:3",
    "backward/softmax/f32/best/b2/h5/kv1/q17/k193/d24/sink/bnhd/threads:1",
    "backward/bayes_softmax/f32/best/b2/h6/kv3/q17/k71/d24/dv17/sink/threads:1",
    "backward/softmax/f32/best/b3/h2/q71/k71/d24/ragged/sink/threads:2",
    "forward/sigmoid/f32/best/b3/h2/q17/k71/d24/documents3/hidden10/bnhd/threads:1",
    "forward/softmax/f64/best/b3/h2/q17/k71/d24/lengths/threads:1",
    "backward/softmax/f32/best/b5/h3/kv1/q1/k17/d97/single_location/threads:1",
]
SHORT = ["--benchmark_repetitions=3", "--benchmark_min_time=0.001"]


def expect(holds, what):
    if not holds:
        sys.exit(f"bench_test.py: {what}")


def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=100)
    print(done.stdout, done.stderr)
    return done


def sentence_of(name):
    """What the Python grammar says of a wrong name."""
    try:
        case_name.parse(name)
    except case_name.BadName as fault:
        return str(fault)
    sys.exit(f"bench_test.py: not refused: {name}")


def check_wrong_names():
    """Both grammars give the same sentence, but where this machine's lists of words are part of it."""
    for part, wrong, sentence in [
        ("softmax", "hardmax", "'hardmax' should be an activation: softmax, "),
        ("best", "avx9", "'avx9' should be an instruction set that this machine runs: "),
        ("kv5", "kv4", "kv4 should divide h10"),
        ("causal", "sink/causal", "'causal' should be bnhd, single_location, or the threads, as threads:1"),
        ("softmax/f32", "relu/f32", "relu takes no sink"),
        ("forward", "sideways", None),
        ("f32", "f16", None),
        ("b2", "b0", None),
        ("d24", "d", None),
        ("d24", "d24/dv0", None),
        ("/causal", "/causal/windows", None),
        ("window9", "single_location", None),
        ("causal", "lengths/ragged", None),
        ("causal/window9", "documents18", None),
        ("window9", "hidden100", None),
        ("causal/window9", "ragged", None),
        ("q17/k193", "q1234567890123/k193", None),
        ("/threads:2", "", None),
        ("threads:2", "threads:2/x", None),
    ]:
        name = SMALL.replace(part, wrong)
        if "takes no sink" in (sentence or ""):
            name = name.replace("window9", "sink")
        done = run(name)
        expected = sentence or sentence_of(name)
        expect(done.returncode == 2, f"{name} gives status {done.returncode}")
        expect(f"hone-bench: '{name}': {expected}" in done.stderr, f"{name}: '{done.stderr}', not '{expected}'")


def check_wrong_options():
    for arguments, sentence in [
        (["--preset", "llama-9"], "'llama-9' should be one of llama-3-8b, "),
        (["--benchmark_filter=("], "is no regular expression"),
        (["--benchmark_filter=nothing"], "no case matches 'nothing'"),
        (["--benchmark_repetitions=0", SMALL], "--benchmark_repetitions: '0' should be a number above 0"),
        (["--benchmark_min_time=3s", SMALL], "--benchmark_min_time: '3s' should be a number above 0"),
        (["--benchmark_out=/nowhere/report.json", SMALL], "/nowhere/report.json cannot be written"),
        (["--nonsense", SMALL], "--nonsense"),
    ]:
        done = run(*arguments)
        expect(done.returncode == 2, f"{arguments} gives status {done.returncode}")
        expect(sentence in done.stdout + done.stderr, f"{arguments}: '{done.stderr}'")


def check_any_name(folder):
    """Each runs, is right, and is in the report with all that was measured."""
    path = pathlib.Path(folder, "report.json")
    done = run(*SHORT, f"--benchmark_out={path}", *ANY)
    expect(done.returncode == 0, "a name does not run")
    expect(len([line for line in done.stdout.splitlines() if " in L" in line or " in memory" in line]) == len(ANY),
           "the table has not a row for each name")  # fmt: skip
    report = json.loads(path.read_text())
    for key in ("cpu", "cores", "smt", "numa_nodes", "governor", "huge_pages", "pinned", "stolen_time", "compiler",
                "xsimd", "revision", "clock_check"):  # fmt: skip
        expect(report["context"].get(key), f"the context has no {key}")
    for name in ANY:
        wanted = case_name.parse(name)
        runs = [r for r in report["benchmarks"] if case_name.parse(r["run_name"]).work == wanted.work]
        slices = [r for r in runs if r["run_type"] == "iteration"]
        aggregates = {r["aggregate_name"]: r for r in runs if r["run_type"] == "aggregate"}
        expect(len(slices) == 3, f"{name} has {len(slices)} slices")
        expect(set(aggregates) == {"median", "min", "spread", "median_cv"}, f"{name}: {set(aggregates)}")
        times = sorted(r["real_time"] for r in slices)
        for aggregate, right in (("median", times[1]), ("min", times[0])):
            given = aggregates[aggregate]["real_time"]
            expect(abs(given / right - 1) < 1e-9, f"{name}: the {aggregate} of {times} is {given}")
        for r in slices:
            # 0.5 to 7 GHz: any clock of a CPU that runs this. In float64 1e-11 would be a fault.
            expect(0.5e9 < r["clock"] < 7e9, f"{name}: the clock is {r['clock']}")
            limit = 1e-5 if wanted.dtype == "f32" else 1e-13
            expect(0 < r["max_error"] < limit, f"{name}: the error is {r['max_error']}")
            per_cycle = r["flops"] / r["clock"] / wanted.threads
            expect(abs(r["flop_per_cycle"] / per_cycle - 1) < 1e-6, f"{name}: FLOP/cycle is {r['flop_per_cycle']}")
            share = r["flop_per_cycle"] / r["peak_flop_per_cycle"]
            expect(abs(r["peak_share"] / share - 1) < 1e-6 and 0 < share < 1.5, f"{name}: the share is {share}")


def check_work():
    """Operations and bytes of a value dimension of its own, counted by hand."""
    name = "{}/softmax/f32/best/b3/h4/kv2/q5/k7/d8/dv2/threads:1"
    pairs, q, o, k, v, lse = 3 * 4 * 5 * 7, 3 * 4 * 5 * 8, 3 * 4 * 5 * 2, 3 * 2 * 7 * 8, 3 * 2 * 7 * 2, 3 * 4 * 5
    for direction, operations, numbers in [
        ("forward", 2 * (8 + 2) * pairs, q + k + v + o),
        ("backward", 2 * (3 * 8 + 2 * 2) * pairs, 2 * q + 2 * k + 2 * v + 2 * o + lse),
    ]:
        done = subprocess.run([PROGRAM, *SHORT, "--benchmark_format=json", name.format(direction)],
                              capture_output=True, text=True, timeout=100)  # fmt: skip
        one = json.loads(done.stdout)["benchmarks"][0]
        counted = one["flops"] * one["bytes"] / one["bandwidth"]
        expect(abs(counted / operations - 1) < 1e-6, f"{direction} counts {counted} operations, not {operations}")
        expect(one["bytes"] == 4 * numbers, f"{direction} counts {one['bytes']} bytes, not {4 * numbers}")


def check_presets():
    helped = run("--help").stdout
    names = [line.split()[0] for line in helped.partition("Presets:")[2].splitlines()
             if line.startswith("    ") and not line.startswith("     ")]  # fmt: skip
    expect(len(names) >= 10, f"the presets are {names}")
    for name in names:
        listed = run("--preset", name, "--benchmark_list_tests").stdout.split()
        expect(listed and all(case_name.parse(one).name == one for one in listed), f"{name} lists {listed}")


def build(folder, name, *flags):
    """naive.c as a library."""
    library = pathlib.Path(folder, f"{name}.so")
    compiler = shlex.split(os.environ.get("CC", "cc")) + ["-O1", "-std=c99", "-shared", "-fPIC"]
    subprocess.run([*compiler, *flags, f"-I{INCLUDE}", NAIVE, "-o", library, "-lm"], check=True)
    return library


def check_implementation(folder):
    """Timed beside hone, where it can be; what is wrong shows in the errors."""
    case = "forward/softmax/f32/best/b1/h2/q17/k71/d24/{}threads:1"
    names = [case.format(""), case.format("causal/")]
    errors = []
    for library in (build(folder, "naive"), build(folder, "wrong", "-DOFF_BY=1")):
        path = pathlib.Path(folder, "beside.json")
        done = run("--implementation", library, *SHORT, f"--benchmark_out={path}", *names)
        expect(done.returncode == 0 and done.stdout.count("of hone's time") == 2, "it is not timed beside hone")
        medians = {r["run_name"]: r for r in json.loads(path.read_text())["benchmarks"] if r["name"].endswith("_median")}
        hones = [name for name in medians if not name.startswith("naive:")]
        expect(len(medians) == 4 and all(f"naive:{name}" in medians for name in hones), f"the report has {set(medians)}")
        for name in hones:
            expect(medians[f"naive:{name}"]["real_time"] > medians[name]["real_time"], "plain loops are faster than hone")
        errors.append([medians[f"naive:{name}"]["max_error"] for name in hones])
    expect(max(errors[0]) < 1e-5 and errors[1][0] < 1e-5 < 0.1 < errors[1][1], f"the errors are {errors}")

    done = run("--implementation", build(folder, "naive"), *SHORT, case.format("window9/"))
    expect(done.returncode == 1 and "not timed: it does not list window" in done.stdout, "a window is not refused")
    done = run("--implementation", build(folder, "failing", "-DFAILS"), *SHORT, case.format(""))
    expect(done.returncode == 1 and "not timed: it is out of luck" in done.stdout, "a failure is not told")
    done = run("--implementation", "/nowhere.so", case.format(""))
    expect(done.returncode == 1 and "/nowhere.so" in done.stderr, "a library that is not there is not named")


def main():
    check_wrong_names()
    check_wrong_options()
    with tempfile.TemporaryDirectory() as folder:
        check_any_name(folder)
        check_implementation(folder)
    check_work()
    check_presets()


main()
