"""lines.py: speed against the length N and against the head dimension D, on one thread."""

from style import GREEN, KINDS, ORANGE, Picture, figure, legend, plain_numbers, whiskers


def draw(axes, rows, x, label, color, marker, line, face=None):
    """Shares of the peak, medians, with whiskers over the slices."""
    rows = sorted(rows, key=lambda row: getattr(row, x))
    if not rows:
        return
    places = [getattr(row, x) for row in rows]
    axes.plot(
        places,
        [100 * row["peak_share"] for row in rows],
        line,
        color=color,
        marker=marker,
        markerfacecolor=face or color,
        label=label,
    )
    for place, row in zip(places, rows):
        low, high = row.range("peak_share")
        whiskers(axes, place, None, 100 * low, 100 * high, horizontal=False, color=color)


def finish(drawn, axes, room, report, columns):
    axes.set_ylim(0, 100)
    axes.set_ylabel("share of the FMA peak (%)")
    peak = report.peak_per_cycle(1)
    if peak:
        right = axes.secondary_yaxis("right", functions=(lambda y: y * peak / 100, lambda y: y * 100 / peak))
        right.set_ylabel(f"float32: FLOP/cycle (at {report.clock / 1e9:.2f} GHz)")
    legend(room, [axes], columns)


def by_length(report):
    square = [r for r in report.select(activation="softmax", dtype="f32", threads=1, d=64) if r.q == r.k > 1]
    plain = [r for r in square if r.variant == "plain" and r.h == r.kv]
    if len({r.q for r in plain}) < 2:
        return None
    drawn, (axes,), room = figure(4.9, legend=0.65)
    for heads, line, face in ((8, "-", None), (64, "--", "white")):
        for direction in ("forward", "backward"):
            chosen = [r for r in plain if r.direction == direction and r.b * r.h == heads]
            draw(axes, chosen, "q", f"{direction}, B·H = {heads}", *KINDS[direction], line, face)
    for direction, color, marker in (("forward", GREEN, "^"), ("backward", ORANGE, "v")):
        masked = [r for r in square if r.variant == "causal" and r.direction == direction and r.b * r.h == 8]
        draw(axes, masked, "q", f"{direction}, causal, B·H = 8", color, marker, ":")
    axes.set_xscale("log", base=2)
    lengths = sorted({r.q for r in plain})
    plain_numbers(axes.xaxis, [n for n in lengths if n & (n - 1) == 0])
    axes.set_xlabel("queries and keys N")
    finish(drawn, axes, room, report, 3)
    forward = [r for r in plain if r.direction == "forward"]
    best = max(r["peak_share"] for r in forward)
    half = [r for r in forward if 2 * r["peak_share"] >= best]
    title = f"Softmax forward runs at half of its best speed or more from N = {min(r.q for r in half)}"
    return Picture(
        "speed_by_length",
        drawn,
        title,
        "Line chart: share of the FMA peak against the number of queries and keys from "
        f"{lengths[0]} to {lengths[-1]}, forward and backward, with and without a causal mask.",
        "Softmax in float32, D = 64, one thread. Lengths that are no power of two lie between the ticks. "
        "Causal cases count half of the operations. Whiskers are between the quartiles of the slices.",
    )


def by_dimension(report):
    cases = [r for r in report.select(activation="softmax", threads=1, variant="plain") if r.q == r.k > 1]
    counts = {}
    for r in cases:
        counts.setdefault((r.b, r.h, r.q), set()).add(r.d)
    size = max(counts, key=lambda key: len(counts[key]), default=None)
    if not size or len(counts[size]) < 2:
        return None
    cases = [r for r in cases if (r.b, r.h, r.q) == size and r.h == r.kv]
    drawn, (axes,), room = figure(4.7, legend=0.45)
    for dtype, line, face in (("f32", "-", None), ("f64", "--", "white")):
        for direction in ("forward", "backward"):
            color, marker = KINDS[direction]
            chosen = [r for r in cases if r.direction == direction and r.dtype == dtype]
            name = direction + (" in double" if dtype == "f64" else "")
            draw(axes, chosen, "d", name, color, marker, line, face)
    dims = sorted(counts[size])
    plain_numbers(axes.xaxis, dims)
    axes.set_xlabel("head dimension D")
    finish(drawn, axes, room, report, 4)
    shares = [100 * r["peak_share"] for r in cases]
    return Picture(
        "speed_by_dimension",
        drawn,
        f"Head dimensions {dims[0]} to {dims[-1]} run at {min(shares):.0f} to {max(shares):.0f}% of the peak",
        f"Line chart: share of the FMA peak against the head dimension, {', '.join(map(str, dims))}, forward "
        "and backward, in float32 and in double.",
        f"Softmax, B {size[0]}, H {size[1]}, N {size[2]}, one thread. The share in double is of the peak in "
        "double; the right axis is for float32. Whiskers are between the quartiles of the slices.",
    )
