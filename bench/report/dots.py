"""dots.py: the charts with a line for each activation or workload: speed, thread scaling, error."""

import itertools

from style import (
    BLACK,
    BLUE,
    GREY,
    KINDS,
    NAIVE,
    PEERS,
    Picture,
    dims,
    figure,
    legend,
    logarithmic,
    plain_numbers,
    threads,
    whiskers,
    words,
)


def list_rows(axes, names):
    """Line n is at height n, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    for n in range(0, len(names), 2):
        axes.axhspan(n - 0.5, n + 0.5, color="#F4F4F4", zorder=0)


def dots(axes, places, label, color, marker, hollow=False):
    """Dots at {line: x}."""
    axes.plot(
        list(places.values()),
        list(places),
        linestyle="none",
        color=color,
        marker=marker,
        markerfacecolor="white" if hollow else color,
        label=label if places else None,
    )


def ranges(axes, rows, key, color, scale=1.0):
    for n, row in rows.items():
        low, high = row.range(key)
        whiskers(axes, None, n, low * scale, high * scale, horizontal=True, color=color)


def draw_peers(axes, report, rows, names):
    """Those that did the very same work on as many threads."""
    for name, (color, marker) in zip(names, itertools.cycle(PEERS)):
        places = {}
        for n, row in rows.items():
            for peer in report.peer_rows(row):
                if peer["peer"] == name and peer.get("peer_seconds"):
                    places[n] = row["flops"] * row["seconds"] / peer["peer_seconds"] / 1e9
        dots(axes, places, name, color, marker)


def slowest(report, shape):
    """GFLOP/s of the slowest dot."""
    rows = report.select(dtype="f32", shape=shape, threads=1)
    speeds = [row["flops"] / row["speedup"] for row in rows]
    for row in rows:
        speeds += [
            row["flops"] * row["seconds"] / p["peer_seconds"]
            for p in report.peer_rows(row)
            if p.get("peer_seconds")
        ]
    return min(speeds) / 1e9


def per_cycle(axes, report):
    """A second axis, on top: the same speeds over the clock."""
    clock = report.clock / 1e9
    top = axes.secondary_xaxis("top", functions=(lambda x: x / clock, lambda x: x * clock))
    logarithmic(top.xaxis, *(x / clock for x in axes.get_xlim()))
    top.set_xlabel(f"FLOP/cycle (at {clock:.2f} GHz)")


def activations(report):
    shape = report.activation_shape()
    if not shape:
        return None
    names = report.activations(shape)
    counts = sorted({report.threads[0], report.threads[-1]})
    beside = report.select(dtype="f32", shape=shape, threads=1)
    peers = list(dict.fromkeys(p["peer"] for row in beside for p in report.peer_rows(row)))
    drawn, panels, room = figure(5.6, 2, legend=0.9)
    for axes, direction in zip(panels, ("forward", "backward")):
        for count in counts:
            chosen = report.select(dtype="f32", shape=shape, direction=direction, threads=count)
            rows = {names.index(row.activation): row for row in chosen}
            if count == 1:
                naive = {n: row["flops"] / row["speedup"] / 1e9 for n, row in rows.items()}
                dots(axes, naive, "naive reference", *NAIVE)
                draw_peers(axes, report, rows, peers)
            ranges(axes, rows, "flops", BLUE, 1e-9)
            speeds = {n: row["flops"] / 1e9 for n, row in rows.items()}
            dots(axes, speeds, f"hone, {threads(count)}", BLUE, "o", hollow=count > 1)
            line = ":" if count == 1 else "--"
            axes.axvline(
                report.peak(count) / 1e9, linestyle=line, color=GREY, label=f"FMA peak, {threads(count)}"
            )
        logarithmic(axes.xaxis, 0.7 * slowest(report, shape), 1.2 * report.peak(counts[-1]) / 1e9)
        axes.set(title=direction, xlabel="speed (GFLOP/s)")
        per_cycle(axes, report)
        list_rows(axes, [words(name) for name in names])
    legend(room, panels, 3)
    times = [row["speedup"] for row in report.select(dtype="f32", shape=shape, threads=1)]
    return Picture(
        "activations",
        drawn,
        f"hone on one thread: {min(times):.0f} to {max(times):.0f} times as fast as the naive reference",
        "Dot charts, forward and backward, with a line for each activation: speed in GFLOP/s, logarithmic, "
        f"of hone on {' and '.join(threads(n) for n in counts)}, of the naive reference"
        + (f" and of {', '.join(peers)}." if peers else "."),
        f"float32, {dims(shape)}. Open dots aside, all is on one thread. Medians; a bar through a dot is "
        "between the quartiles of the slices. Operations per cycle are those of all threads together. "
        + (
            "The peers ran the same shape in another run; the table below has the ratios, side by side."
            if peers
            else "No peer was measured: ./run.sh peers does."
        ),
    )


def workload(row):
    """What a line of the thread chart says."""
    if row.kind.startswith("decode"):
        return f"decode, B {row.b}, Hq {row.h}, Hkv {row.kv}"
    if row.kind == "single-location model":
        return f"{row.kind}, {row.direction}"
    return f"{row.direction}, B·H {row.b * row.h}, N {row.q}, D {row.d}"


def scaled(report):
    """{line: row on one thread} of the softmax workloads that ran on more threads too."""
    rows = [row for row in report.select(threads=1, dtype="f32", activation="softmax") if row.kind in KINDS]
    rows = [row for row in rows if len(others(report, row)) > 1]
    rows.sort(key=lambda row: (list(KINDS).index(row.kind), row.b * row.h))
    return dict(enumerate(rows))


def others(report, row):
    """{threads: row} of the same workload."""
    same = {key: getattr(row, key) for key in ("shape", "direction", "activation", "dtype")}
    return {other.threads: other for other in report.select(**same)}


def draw_scaling(axes, report, base, count, color, marker):
    """How many times as fast as on one thread; returns that of square problems, and the whiskers' ends."""
    places, ends = {}, []
    for n, row in base.items():
        other = others(report, row).get(count)
        if not other:
            continue
        places[n] = row["seconds"] / other["seconds"]
        (low, high), (first, last) = row.range("seconds"), other.range("seconds")
        whiskers(axes, None, n, low / last, high / first, horizontal=True, color=color)
        ends += [low / last, high / first]
    dots(axes, places, threads(count), color, marker)
    axes.axvline(count, linestyle="--", color=color, linewidth=1.2, label=f"{count} times")
    return [x for n, x in places.items() if base[n].kind in ("forward", "backward")], ends


def scaling(report):
    counts = report.threads
    base = scaled(report)
    if not base or len(counts) < 2:
        return None
    drawn, (axes,), room = figure(1.6 + 0.32 * len(base), legend=0.4)
    ends = [1.0, counts[-1]]
    for count, (color, marker) in zip(counts[1:], itertools.cycle([(BLUE, "o"), *PEERS])):
        square, more = draw_scaling(axes, report, base, count, color, marker)
        ends += more
    axes.set_xscale("log", base=2)
    between = [0.75, 1.25, 1.5, 1.75] if counts[-1] == 2 else []
    plain_numbers(axes.xaxis, [0.25, 0.5, *counts, *between])
    axes.set_xlim(0.95 * min(ends), 1.08 * max(ends))
    axes.set_xlabel("times as fast as one thread")
    list_rows(axes, [workload(row) for row in base.values()])
    legend(room, [axes], 6)
    title = "How speed grows with the number of threads"
    if square:
        title = (
            f"Square problems: {min(square):.1f} to {max(square):.1f} times as fast on {threads(counts[-1])}"
        )
    return Picture(
        "threads",
        drawn,
        title,
        f"Dot chart with {len(base)} workloads: how many times as fast they are as on one thread, for "
        f"{', '.join(threads(n) for n in counts[1:])}.",
        "Softmax in float32. Medians; bars are between the quartiles of the slices, of one over the other. Decode has one query per head, 16384 keys and D = 128, and does little for each "
        f"byte: it can scale as the read bandwidth does, which is {report.bandwidth(1) / 1e9:.0f} GB/s on "
        f"one thread and {report.bandwidth(counts[-1]) / 1e9:.0f} on {counts[-1]}.",
    )


def error(report):
    shape = report.activation_shape()
    if not shape:
        return None
    names = report.activations(shape)
    drawn, (axes,), room = figure(4.9, legend=0.45)
    largest = 0.0
    for direction, (color, marker) in list(KINDS.items())[:2]:
        chosen = report.select(dtype="f32", shape=shape, direction=direction, threads=1)
        beside = -0.14 if direction == "forward" else 0.14
        places = {names.index(row.activation) + beside: row["max_error"] for row in chosen}
        dots(axes, places, direction, color, marker)
        largest = max([largest, *places.values()])
    axes.axvline(
        2.0**-24, linestyle="--", color=BLACK, linewidth=1.2, label="rounding of one number in float32, 2⁻²⁴"
    )
    axes.set_xscale("log")
    axes.set_xlim(3e-8, max(1e-5, 2 * largest))
    axes.set_xlabel("largest error over the largest value of the output (no unit)")
    list_rows(axes, [words(name) for name in names])
    legend(room, [axes], 3)
    return Picture(
        "error",
        drawn,
        f"Errors in float32 are at most {largest:.1e} of the largest value",
        "Dot chart with a line for each activation: the error of forward and backward, logarithmic, at most "
        f"{largest:.1e}.",
        f"float32, {dims(shape)}, against the reference in double on the same inputs. Forward: o; backward: "
        "the worst of dq, dk and dv. Large problems are compared in evenly spread parts. Results are the "
        "same on every number of threads, bit for bit.",
    )
