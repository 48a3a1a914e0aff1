"""Runs hone-single-location as a user does: the same CSV however many threads and processes computed it and however
often it was interrupted; and a sentence for what is wrong.

usage: program_test.py hone-single-location
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
RISK = "risk --strengths 1,3 --activation softmax --activation bayes_softmax --activation softmax_1+b".split()
RISK += "--starts 1 --samples 1024".split()
SHORT, LONG = ["--steps", "300"], ["--steps", "6000"]
DYNAMICS = "dynamics --tokens 6 --dim 64 --heads 2 --nu 1.6 --samples 512 --starts 1 --sets 1 --batch 64".split()


def run(words, ranks=0, status=0):
    """What it said on stderr."""
    mpirun = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks else []
    words = mpirun + [PROGRAM, *map(str, words)]
    print("+", *words, flush=True)
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    expect(done.returncode == status, f"exit status {done.returncode}, not {status}: {done.stderr}")
    return done.stderr


def expect(true, what):
    if not true:
        sys.exit(f"program_test.py: {what}")


def interrupted(words, out, seconds):
    """Interrupts it as Ctrl-C does. Whether there was something to interrupt."""
    process = subprocess.Popen([PROGRAM, *words, "--out", out], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    status = process.wait(timeout=60)
    expect(status in (0, 130), f"exit status {status} after SIGINT")
    return status == 130


def same_for_threads(work):
    for words in (RISK + SHORT, DYNAMICS + ["--steps", "40"]):
        files = []
        for threads in ("1", "2", "3"):
            out = work / f"threads{threads}"
            run([*words, "--threads", threads, "--out", out])
            files.append((out / f"{words[0]}.csv").read_bytes())
        expect(files[0].count(b"\n") > 5, "there are no rows")
        expect(files[0] == files[1] == files[2], f"{words[0]}: the CSV depends on the number of threads")


def same_after_interruptions(work):
    """A sweep, and a long run of SGD, interrupted anywhere and resumed."""
    for words, name in ((RISK + LONG, "risk"), (DYNAMICS + ["--steps", "20000"], "dynamics")):
        run([*words, "--out", work / "straight"])
        out, times = work / f"interrupted_{name}", 0
        resumed = words
        while times < 4 and interrupted(resumed, out, 0.7):
            expect(json.loads((out / f"{name}.json").read_text())["complete"] is False, "the JSON says complete")
            times, resumed = times + 1, [*words, "--resume"]
        expect(times > 0, f"{name} was over before it could be interrupted")
        run([*words, "--resume", "--out", out])
        for suffix in ("csv", "json"):
            file = f"{name}.{suffix}"
            expect((out / file).read_bytes() == (work / "straight" / file).read_bytes(), f"resumed: another {file}")


def same_on_ranks(work):
    run([*RISK, *SHORT, "--out", work / "one"])
    run([*RISK, *SHORT, "--threads", "1", "--out", work / "four"], ranks=4)
    expect((work / "one/risk.csv").read_bytes() == (work / "four/risk.csv").read_bytes(), "four ranks: another CSV")


def wrong_words_are_named(work):
    expect("--tokens: is 1" in run(["risk", "--tokens", "1"], status=2), "--tokens is not named")
    expect("softmax_1+b" in run(["risk", "--activation", "softmax+b"], status=2), "the right name is not told")
    run([*RISK, *SHORT, "--out", work / "settings"])
    said = run([*RISK, *SHORT, "--seed", "2", "--resume", "--out", work / "settings"], status=1)
    expect("seed" in said, f"it does not say that the seed differs: {said}")
    (work / "file").write_text("")
    said = run([*RISK, *SHORT, "--out", work / "file/in"], status=1)
    expect("--out: nothing can be written" in said, said)


def diverged_is_said(work):
    """A rate that is far too high: no crash, and a hint."""
    words = [PROGRAM, *RISK[:3], "--activation=linear", "--optimizer=sgd", "--rate=1e6", "--samples=1024", "--steps=400"]
    done = subprocess.run([*words, "--out", work / "diverged"], capture_output=True, text=True, timeout=120)
    expect(done.returncode == 0, f"exit status {done.returncode}: {done.stderr}")
    expect("nan: training has diverged" in done.stdout, done.stdout)


def interrupted_while_measuring(work):
    """Training is over in no time, pruning at D = 1000 takes half a minute: Ctrl-C ends it within seconds."""
    words = "prune --dim 1000 --heads 8 --steps 3 --starts 1 --activation softmax".split()
    begin = time.monotonic()
    expect(interrupted(words, work / "measuring", 3), "it was over before it could be interrupted")
    seconds = time.monotonic() - begin
    expect(seconds < 8, f"Ctrl-C was heeded after {seconds - 3:.0f} s")


def main():
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        # A shell's background job ignores it, and so would what it starts.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        wrong_words_are_named(work)
        diverged_is_said(work)
        interrupted_while_measuring(work)
        same_for_threads(work)
        same_after_interruptions(work)
        if shutil.which("mpirun"):
            same_on_ranks(work)


main()
