"""Runs hone-check on hone, on the example of an implementation, and on small ones of C, right and wrong: what is
wrong has to be named, and so has every mistake on the command line or in a library.

usage: check_test.py hone-check naive.c include [hone_blas_example.so]
"""

import os
import pathlib
import re
import resource
import shlex
import subprocess
import sys
import tempfile

HONE_CHECK, NAIVE, INCLUDE, *EXAMPLE = sys.argv[1:]
COLUMNS = ("run", "unsupported", "failed")


def expect(true, what):
    if not true:
        sys.exit(f"check_test.py: {what}")


def check(*arguments, status=0):
    """What hone-check prints, on stdout and stderr."""
    no_core = lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # noqa: E731
    command = [HONE_CHECK, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=no_core)
    print("+", *command, "\n", done.stdout, done.stderr, flush=True)
    expect(done.returncode == status, f"the exit status of {command} is {done.returncode}, should be {status}")
    return done.stdout + done.stderr


def forward(printed, family):
    """The counts of a family's forward cases."""
    row = re.search(rf"^{family} +(\d+) +(\d+) +(\d+)", printed, re.MULTILINE)
    expect(row, f"the table has no row of {family}")
    return dict(zip(COLUMNS, map(int, row.groups())))


def build(work, name, *flags):
    """naive.c as a library."""
    library = work / f"{name}.so"
    compiler = shlex.split(os.environ["CC"]) + ["-O1", "-std=c99", "-Wall", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*compiler, *flags, f"-I{INCLUDE}", NAIVE, "-o", library, "-lm"], check=True)
    return library


def check_right(work):
    printed = check("--quick")
    expect(forward(printed, "all")["failed"] == 0 < forward(printed, "search")["run"], "hone fails, or there is no search")
    naive = build(work, "naive")
    printed = check("--implementation", naive, "--search", 100)
    counts = forward(printed, "extents")
    expect(counts["unsupported"] == 2, "the two cases with heads of 512 are not counted as unsupported")
    expect(counts["failed"] == 0 < counts["run"], f"naive.c fails, or does not run: {counts}")
    expect(forward(printed, "masks")["run"] == 0 < forward(printed, "masks")["unsupported"], "masks are not listed")
    expect(forward(printed, "search")["run"] == 100, "problems of the search are not adapted")
    check("--implementation", naive, "--family", "masks", status=1)  # nothing ran
    check("--implementation", naive, "--case", "forward/softmax/f32/several_blocks")
    listed = check("--implementation", naive, "--family", "causality", "--list").split()
    causal = forward(printed, "causality")["run"]
    expect(len(listed) == causal > 0, f"{len(listed)} cases are listed, {causal} ran")
    expect("forward/softmax/f32/top_left_square" in listed, "the cases are listed wrongly")
    if EXAMPLE:
        printed = check("--implementation", EXAMPLE[0], "--search", 200)
        expect("OpenBLAS" in printed and forward(printed, "causality")["run"] > 0, "the example runs next to nothing")


def check_wrong(work):
    wrong = build(work, "off_by_one", "-DOFF_BY=1")
    printed = check("--implementation", wrong, "--family", "extents", "--family", "causality", status=1)
    failed = [forward(printed, family)["failed"] for family in ("extents", "causality")]
    expect(failed[0] == 0 < failed[1], f"the wrong family fails: {failed}")
    first = r"^causality: \d+ failed, the first is forward/softmax/f32/top_left_square$"
    expect(re.search(first, printed, re.MULTILINE), "the first case is not named")
    element = r"o\[0, 0, \d+, \d+\] is \S+, should be \S+ within \S+, is off by"
    expect(re.search(element, printed), "no element is named")
    command = re.search(r"^ +(\S*hone-check --implementation .*)$", printed, re.MULTILINE)[1]
    alone = subprocess.run(shlex.split(command), capture_output=True, text=True)
    expect(alone.returncode == 1 and "causality: 1 failed" in alone.stdout, "the command that it prints is of no use")

    for fault, status, said in [("WRITES_K", 1, "k is written, which is not an output"),
                                ("FAILS", 1, "it returns HONE_OUT_OF_MEMORY: it is out of luck"),
                                ("CRASHES", -11, "a segmentation fault in forward/softmax/f32/single;")]:  # fmt: skip
        printed = check("--implementation", build(work, fault, f"-D{fault}"), "--family", "extents", status=status)
        expect(said in printed, f"{fault}: '{said}' is not said")


def check_mistakes(work):
    for words, said in [
        ("forward f32 sofmax", "lists 'sofmax', should be one of: forward backward f32"),
        ("f32 softmax", "should list one at least of: forward backward"),
        ("forward f32", "should list one at least of: softmax softmax_1"),
        ("forward backward f32 softmax", "does not export hone_implementation_backward()"),
    ]:
        library = build(work, "words", f'-DWORDS="{words}"')
        expect(said in check("--implementation", library, status=2), f"'{said}' is not said")
    for arguments, said in [
        (["--implementation", work / "absent.so"], "absent.so: cannot open shared object file"),
        (["--implementation", NAIVE], "naive.c: "),
        (["--family", "masquerade"], "'masquerade' is no family: should be one of extents, "),
        (["--case", "backward/softmax/f32/pair"], "'backward/softmax/f32/pair' is none of the cases"),
        (["--search", "-1"], "--search"),
        (["--searches"], "--searches"),
    ]:
        expect(said in check(*arguments, status=2), f"'{said}' is not said")
    libm = [part for part in subprocess.check_output(["ldd", HONE_CHECK], text=True).split() if "/libm.so" in part]
    if libm:
        expect("does not export hone_implementation_name()" in check("--implementation", libm[0], status=2), "libm")


def main():
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        check_right(work)
        check_wrong(work)
        check_mistakes(work)


main()
