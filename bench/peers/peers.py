"""peers.py: times hone beside its peers on the same inputs, in turns, and compares what they compute.

Each work is run in rounds, and in each round everyone has a turn, in an order that alternates: so that what the
machine does meanwhile meets all alike. A ratio is the median over the rounds of peer's time / hone's time in the
same round, the spread the distance between its quartiles. Agreement is the largest difference between the two
outputs, or gradients, over the largest value of hone's. How a turn is timed is in worker.py. Calls of attention are
listed in works.py, training steps of the single-location model in training.py.

Everyone returns new memory from every call, as PyTorch does; but onnxruntime, which would copy, writes where it did
before. hone and the BLAS peer, which let their caller do so, keep their workspace from call to call.
"""

import argparse
import contextlib
import os
import pathlib
import sys

import numpy

import blas_peer
import hone_ctypes
import report
import step_ctypes
import training
import works
from worker import PeerError, Worker, calls_in_turn

ROOT = pathlib.Path(__file__).resolve().parents[2]
FEWEST_ROUNDS = 5


def make_torch(kind):
    import torch_peers

    return torch_peers.Torch(kind)


def make_onnxruntime():
    import onnxruntime_peer

    return onnxruntime_peer.Onnxruntime()


def make_torch_step(kind, path):
    import torch_step

    return torch_step.TorchStep(kind, path)


def step_library(build):
    return build / "bench/peers/libhone_training_step.so"


def makers(build):
    """{name: how it is made in its process}, hone first. Not all are there on every machine."""
    hone = str(build / "lib/libhone.so")
    blas = str(build / "bench/peers/libhone_blas_attention.so")
    step = str(step_library(build))
    return {
        "hone": (hone_ctypes.Hone, hone),
        "hone, rows before heads": (hone_ctypes.Hone, hone, True),
        "pytorch sdpa": (make_torch, "sdpa"),
        "pytorch eager": (make_torch, "eager"),
        "pytorch compile": (make_torch, "compile"),
        "pytorch sdpa, zero key": (make_torch, "zero key"),
        "onnxruntime": (make_onnxruntime,),
        "openblas": (blas_peer.Blas, blas, False),
        "openblas, whole scores": (blas_peer.Blas, blas, True),
        training.HONE: (step_ctypes.HoneStep, step),
        training.PYTORCH: (make_torch_step, "plain", step),
        training.PYTORCH_TUNED: (make_torch_step, "tuned", step),
        training.TRAFFIC: (step_ctypes.Traffic, step),
    }


def start(stack, build, names):
    """{name: its process} of those that start."""
    workers = {}
    for name, (make, *arguments) in makers(build).items():
        if name not in names:
            continue
        try:
            workers[name] = Worker(make, *arguments)
        except PeerError as error:
            if name == "hone":
                raise
            print(f"{name} sits out: {error}")
        else:
            stack.callback(workers[name].close)
    return workers


def prepare(workers, names, work, threads):
    """{name: (remark, the arrays of its first call, the seconds of a call)} of those that can do the work."""
    prepared = {}
    for name in names:
        try:
            prepared[name] = workers[name].prepare(work, threads)
        except PeerError as error:
            if name == "hone":
                raise
            print(f"{name} sits out of {work.shape}: {error}")
    return prepared


def time_rounds(workers, seconds, options):
    """{name: [rounds, parts] seconds}: as many rounds as fit in options.seconds."""
    calls = {name: calls_in_turn(each) for name, each in seconds.items()}
    round_seconds = sum((calls[name] + 1) * each for name, each in seconds.items())
    rounds = min(options.rounds, max(FEWEST_ROUNDS, int(options.seconds / round_seconds)))
    times = {name: [] for name in seconds}
    order = list(seconds)
    for _ in range(rounds):
        for name in order:
            times[name].append(workers[name].turn(calls[name]))
        order.reverse()
    return {name: numpy.array(rows) for name, rows in times.items()}


def agreement(arrays, truth, names):
    """The largest difference over the largest value, the worst of the named ones that there are; None where the peer
    computes nothing."""
    if not arrays:
        return None
    names = [name for name in names if name in truth]
    differences = [numpy.abs(arrays[n] - truth[n]).max() / numpy.abs(truth[n]).max() for n in names]
    return float(numpy.max(differences))


# Direction: the parts of the time that it adds up, and the arrays that are compared.
PARTS = {
    "forward": ([0], ["o"]),
    "backward": ([1], ["dq", "dk", "dv"]),
    "forward+backward": ([0, 1], ["o", "dq", "dk", "dv"]),
    "step": ([0], ["loss", "dq", "dbias"]),
    "step on given tokens": ([1], ["given loss", "given dq", "given dbias"]),
}


def rows_of(work, threads, prepared, times):
    """A row for each direction and peer."""
    for direction, name in zip(work.directions, work.names):
        parts, compared = PARTS[direction]
        for peer, beside in work.peers_of(direction):
            if peer not in times or beside not in times:
                continue
            hone_seconds = times[beside][:, parts].sum(1)
            peer_seconds = times[peer][:, parts].sum(1)
            ratios = peer_seconds / hone_seconds
            lower, median, upper = numpy.percentile(ratios, [25, 50, 75])
            yield {
                "work": name,
                "peer": peer,
                "threads": threads,
                "ratio": float(median),
                "spread": float(upper - lower),
                "agreement": agreement(prepared[peer][1], prepared[beside][1], compared),
                "hone_seconds": float(numpy.median(hone_seconds)),
                "peer_seconds": float(numpy.median(peer_seconds)),
                "rounds": len(ratios),
                "target": work.target(direction, peer),
                "remark": prepared[peer][0],
            }


def compare(options):
    """Everything, to the terminal and to the JSON file. Whether there are rows, and all agree."""
    wanted = {name for work in options.works for pair in work.peers for name in pair}
    if options.peers:
        wanted = {name for name in wanted if name.startswith("hone") or name in options.peers}
    with contextlib.ExitStack() as stack:
        workers = start(stack, options.build, wanted)
        table = report.Report(workers, options.out)
        for work in options.works:
            names = [name for name in workers if name in {n for pair in work.peers for n in pair}]
            for threads in options.threads:
                prepared = prepare(workers, names, work, threads)
                times = time_rounds(workers, {n: p[2] for n, p in prepared.items()}, options)
                for row in rows_of(work, threads, prepared, times):
                    table.add(row)
        return table.finish()


def wanted_works(options):
    everything = works.quick_works() if options.quick else works.all_works()
    if step_library(options.build).exists():
        everything += training.quick_steps() if options.quick else training.all_steps()
    else:
        print("The training steps sit out: they were not built; they need what hone-single-location needs.")
    return [work for work in everything if any(options.filter in name for name in work.names)]


def whole_numbers(text):
    try:
        numbers = sorted({int(word) for word in text.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise argparse.ArgumentTypeError(f"is '{text}'; should be whole numbers from 1 on, as 1,2")
    return numbers


def parse(arguments):
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        prog="./run.sh peers",
        description="Times hone beside PyTorch, onnxruntime and OpenBLAS, and compares what they compute.",
    )
    parser.add_argument("--quick", action="store_true", help="a few small works, in about a minute")
    parser.add_argument("--threads", type=whole_numbers, metavar="N,N", default=sorted({1, cores}),
                        help="numbers of threads (default: 1 and all cores)")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=9, help="the most rounds of a work (default: 9)")
    parser.add_argument("--seconds", type=float, help="what the rounds of a work may take, if there are five "
                        "(default: 3; quick: 1)")  # fmt: skip
    parser.add_argument("--filter", default="", help="only works whose name contains this")
    parser.add_argument("--peers", type=lambda text: text.split(";"), metavar="NAME;NAME",
                        help=f"only these of {'; '.join(list(makers(ROOT))[2:])}")  # fmt: skip
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/report/peers.json",
                        help="the JSON file (default: build/report/peers.json)")  # fmt: skip
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="the build directory")
    options = parser.parse_args(arguments)
    if options.seconds is None:
        options.seconds = 1 if options.quick else 3
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds should be positive")
    options.works = wanted_works(options)
    if not options.works:
        parser.error(f"--filter: no work has '{options.filter}' in its name")
    unknown = set(options.peers or ()) - set(makers(ROOT))
    if unknown:
        parser.error(f"--peers: there is no {', '.join(sorted(unknown))}")
    if not (options.build / "lib/libhone.so").exists():
        parser.error(f"there is no lib/libhone.so in {options.build}")
    return options


def main():
    try:
        return 0 if compare(parse(sys.argv[1:])) else 1
    except PeerError as error:
        print(f"peers: hone: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
