"""Runs sweep_program as a user does, on one process and under mpirun, disturbs it, and resumes it: the CSV must
be that of an undisturbed run.

usage: sweep_process_test.py sweep_program        exit status 77: no mpirun, or a program built without MPI;
                                                  what needs neither has passed then
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

PROGRAM = sys.argv[1]
# Open MPI does not run as root unless told to.
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def command(ranks, *arguments):
    mpirun = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks else []
    return mpirun + [PROGRAM, *map(str, arguments)]


def run(ranks, out, *arguments, env=ENVIRONMENT):
    """The exit status, and what it said."""
    words = command(ranks, out, *arguments)
    print("+", *words, flush=True)
    done = subprocess.run(words, env=env, stderr=subprocess.PIPE, text=True, timeout=60)
    print(done.stderr, end="", flush=True)
    return done.returncode, done.stderr


def interrupt(ranks, out, *arguments, after, signals=(signal.SIGINT,)):
    """The same, of a run that gets signals as soon as so many jobs are finished."""
    words = command(ranks, out, *arguments)
    print("+", *words, flush=True)
    process = subprocess.Popen(words, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 30
    while len(list(out.glob("map.checkpoint/*.result"))) < after and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)  # into the next job
    for number in signals:
        process.send_signal(number)
        time.sleep(0.1)
    said = process.communicate(timeout=60)[1]
    print(said, end="", flush=True)
    return process.returncode, said


def expect(true, what):
    if not true:
        sys.exit(f"sweep_process_test.py: {what}")


def files(out):
    return (out / "map.csv").read_bytes(), (out / "map.json").read_bytes()


def starts(trace):
    """Of each job that started: which, on which rank, from which step."""
    return [tuple(map(int, line.split())) for line in trace.read_text().splitlines()]


def check_partial(out, undisturbed):
    rows = (out / "map.csv").read_bytes().splitlines()
    expect(json.loads((out / "map.json").read_text())["complete"] is False, "the JSON says complete")
    all_rows = undisturbed[0].splitlines()
    expect(rows[0] == all_rows[0] and 1 < len(rows) < len(all_rows), f"{len(rows)} rows in the partial CSV")
    expect([row for row in all_rows if row in set(rows)] == rows, "the rows of the partial CSV are others")


def check_resumed(ranks, out, undisturbed, *arguments):
    status, _ = run(ranks, out, "--resume", *arguments)
    expect(status == 0, f"resumed: exit status {status}")
    expect(files(out) == undisturbed, "resumed: other files than undisturbed")
    expect(not (out / "map.checkpoint").exists(), "the checkpoint is still there")


def interrupted_alone(work, undisturbed):
    out, trace = work / "alone", work / "alone.trace"
    status, said = interrupt(0, out, after=3)
    expect(status == 130, f"exit status {status} after SIGINT")
    expect(re.search(r"interrupted: \d+ of 12 done; add --resume to go on", said), "it does not say interrupted")
    check_partial(out, undisturbed)
    check_resumed(0, out, undisturbed, f"--trace={trace}")
    expect(starts(trace)[0][2] > 0, "the job that was interrupted began anew")


def interrupted_twice(work, undisturbed):
    out = work / "twice"
    twice = (signal.SIGINT, signal.SIGINT)
    status, _ = interrupt(0, out, "--deaf", "--step-ms=100", after=2, signals=twice)
    expect(status == -signal.SIGINT, f"exit status {status} after a second SIGINT")
    check_resumed(0, out, undisturbed)


def killed_alone(work, undisturbed):
    out, trace = work / "killed_alone", work / "killed_alone.trace"
    status, _ = run(0, out, "--kill=0", "--save-seconds=0")
    expect(status == -signal.SIGKILL, f"exit status {status} after SIGKILL")
    check_resumed(0, out, undisturbed, f"--trace={trace}")
    expect(starts(trace)[0][2] > 0, "the job that was killed began anew")


def on_a_terminal(work):
    """One line, redrawn at most ten times a second, within 60 columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    start = time.monotonic()
    process = subprocess.Popen(command(0, work / "terminal", "--jobs=6"), stderr=its)
    os.close(its)
    text = b""
    try:
        while piece := os.read(ours, 4096):
            text += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    seconds = time.monotonic() - start
    expect(process.wait() == 0, "it failed on a terminal")
    drawn = [line for line in re.split(r"\r|\n", text.decode().replace("\x1b[K", "")) if line.startswith("map [")]
    print(*drawn[-2:], sep="\n")
    expect(3 <= len(drawn) <= 10 * seconds + 1, f"{len(drawn)} lines drawn in {seconds:.1f} s")
    expect(max(map(len, drawn)) <= 59, "a line is wider than the terminal")
    line = re.compile(r"map \[#+\.+\]  \d\d%  [1-5]/6  \d\.\d s, about \d\.\d s left  jo")
    expect(any(map(line.match, drawn)), f"lines look otherwise: {drawn}")


def on_four_ranks(work, undisturbed):
    out, trace = work / "ranks", work / "ranks.trace"
    status, _ = run(4, out, f"--trace={trace}")
    expect(status == 0, f"exit status {status} on four ranks")
    expect(files(out) == undisturbed, "four ranks write other files than one process")
    expect({rank for _, rank, _ in starts(trace)} == {0, 1, 2, 3}, "not all ranks had a job")
    expect(len(starts(trace)) == 12, "a job ran twice")


def thrown_on_ranks(work, undisturbed):
    out, trace = work / "thrown", work / "thrown.trace"
    status, said = run(4, out, "--throw=9")
    expect(status == 1, f"exit status {status} where a job throws")
    sentence = r"job 9 failed: on rank [0-3] \(.+\): the map has left"
    expect(re.search(sentence, said) and "1 of 12 failed" in said, "it does not say what failed")
    check_partial(out, undisturbed)
    check_resumed(2, out, undisturbed, f"--trace={trace}")
    expect(starts(trace)[0][0] == 9 and len(starts(trace)) == 1, "jobs that had finished ran again")


def killed_on_ranks(work, undisturbed):
    for rank, resumed_on in [(1, 0), (0, 3)]:
        out, before, after = (work / f"killed{rank}{end}" for end in ["", ".before", ".after"])
        status, _ = run(4, out, f"--kill={rank}", "--save-seconds=0", "--step-ms=60", f"--trace={before}")
        expect(status != 0, f"exit status 0 where rank {rank} was killed")
        check_resumed(resumed_on, out, undisturbed, f"--trace={after}")
        killed = [job for job, by, _ in starts(before) if by == rank][1]
        from_step = {job: step for job, _, step in starts(after)}
        expect(len(from_step) < 12, "nothing was kept")
        expect(from_step[killed] > 0, f"what job {killed} saved was not kept")


def interrupted_on_ranks(work, undisturbed):
    for number in [signal.SIGINT, signal.SIGTERM]:
        out, trace = work / f"signal{number}", work / f"signal{number}.trace"
        status, said = interrupt(4, out, "--step-ms=80", "--jobs=12", after=1, signals=[number])
        expect(status != 0, f"exit status 0 after signal {number}")
        expect("done; add --resume to go on" in said, "it had no time to stop")
        check_partial(out, undisturbed)
        check_resumed(2, out, undisturbed, f"--trace={trace}")
        expect(any(step > 0 for _, _, step in starts(trace)), "no job was saved")


def one_rank_interrupted(work, undisturbed):
    """All stop where a rank other than 0 alone gets the signal."""
    out = work / "one"
    status, said = run(4, out, "--interrupt=2", "--step-ms=40")
    expect(status == 130, f"exit status {status} where one rank was interrupted")
    expect("done; add --resume to go on" in said, "it does not say how to go on")
    expect(len(list(out.glob("map.checkpoint/*.state"))) >= 3, "the other ranks did not stop")
    check_partial(out, undisturbed)
    check_resumed(4, out, undisturbed)


def without_mpi(work):
    env = dict(ENVIRONMENT, OMPI_COMM_WORLD_SIZE="4", OMPI_COMM_WORLD_RANK="0")
    status, said = run(0, work / "none", env=env)
    expect(status == 1 and "built without MPI" in said, "it does not say that there is no MPI")
    expect(not (work / "none").exists(), "it wrote without MPI")


def main():
    # A shell's background job ignores it, and so would what it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        status, _ = run(0, work / "undisturbed")
        expect(status == 0, f"exit status {status}")
        undisturbed = files(work / "undisturbed")
        for check in [interrupted_alone, interrupted_twice, killed_alone]:
            check(work, undisturbed)
        on_a_terminal(work)
        if subprocess.run([PROGRAM, "--mpi"]).returncode != 0:
            without_mpi(work)
            print("skipped: the program was built without MPI")
            sys.exit(77)
        if not shutil.which("mpirun"):
            print("skipped: there is no mpirun")
            sys.exit(77)
        for check in [
            on_four_ranks,
            thrown_on_ranks,
            killed_on_ranks,
            interrupted_on_ranks,
            one_rank_interrupted,
        ]:
            check(work, undisturbed)


main()
