"""roofline.py: every kernel a dot under the two roofs, the FMA peak and the read bandwidth."""

import numpy

from style import GREY, KINDS, NAIVE, Picture, figure, legend, logarithmic, threads


def intensity(row):
    """Operations for each byte that the call cannot do without."""
    return row["flops"] * row["seconds"] / row["bytes"]


def note(axes, text, x, speed, offset):
    axes.annotate(text, (x, speed / 1e9), offset, textcoords="offset points", ha="right", fontsize=9.5)


def draw_roofs(axes, report, count, span):
    bandwidth = report.bandwidth(count)
    for dtype, line in (("f32", "-"), ("f64", "--")):
        peak = report.peak(count, dtype)
        if not report.select(dtype=dtype, threads=count) or not peak:
            continue
        axes.plot(span, numpy.minimum(peak, span * bandwidth) / 1e9, line, color=GREY, linewidth=1.5)
        if dtype == "f64":
            note(axes, f"{peak / 1e9:.0f} in double", peak / bandwidth, peak, (-7, -4))
        else:
            note(axes, f"{peak / 1e9:.0f} GFLOP/s", span[-1], peak, (0, 4))
    middle = numpy.sqrt(span[0] * report.peak(count) / bandwidth)
    note(axes, f"{bandwidth / 1e9:.0f} GB/s", middle, middle * bandwidth, (-6, 0))


def draw_dots(axes, rows):
    for kind, (color, marker) in KINDS.items():
        for dtype, face in (("f32", color), ("f64", "white")):
            chosen = [row for row in rows if row.kind == kind and row.dtype == dtype]
            axes.plot(
                [intensity(row) for row in chosen],
                [row["flops"] / 1e9 for row in chosen],
                linestyle="none",
                marker=marker,
                color=color,
                markerfacecolor=face,
                markersize=5.5,
                alpha=0.8,
                label=(kind + (", double" if dtype == "f64" else "")) if chosen else None,
            )


def draw_naive(axes, rows):
    axes.plot(
        [intensity(row) for row in rows],
        [row["flops"] / row["speedup"] / 1e9 for row in rows],
        linestyle="none",
        marker=NAIVE[1],
        color=NAIVE[0],
        markersize=4.5,
        label="naive reference",
    )


def roofline(report):
    counts = sorted({report.threads[0], report.threads[-1]})
    shown = [row for row in report.rows if row.kind in KINDS and row.threads in counts]
    if not shown:
        return None
    work = [intensity(row) for row in shown]
    speeds = [row["flops"] / 1e9 for row in shown]
    span = numpy.geomspace(min(work) / 2, max(work) * 2, 200)
    drawn, panels, room = figure(5.2, len(counts), legend=0.65)
    for axes, count in zip(panels, counts):
        rows = [row for row in shown if row.threads == count]
        draw_roofs(axes, report, count, span)
        draw_dots(axes, rows)
        if count == 1:
            draw_naive(axes, rows)
        logarithmic(axes.xaxis, span[0] / 4, span[-1] * 1.3, steps=(1,))
        logarithmic(axes.yaxis, min(speeds) / 2, 1.6 * report.peak(counts[-1]) / 1e9)
        axes.set(title=threads(count), xlabel="operations per byte (FLOP/B)")
    panels[0].set_ylabel("speed (GFLOP/s)")
    legend(room, panels, 4)
    best = max(shown, key=lambda row: row["peak_share"])
    title = f"The best kernel reaches {100 * best['peak_share']:.0f}% of the machine's FMA peak"
    return Picture(
        "roofline",
        drawn,
        title,
        f"Rooflines for {' and '.join(threads(n) for n in counts)}: speed in GFLOP/s against operations per "
        f"byte, both logarithmic, with {len(shown)} dots under a slanted roof, the read bandwidth, and a "
        "flat one, the FMA peak.",
        "Each dot is one case: its operations per second against its operations per byte that it cannot do "
        "without (each input read once, each output written once). The roofs are the largest FMA peak and "
        "read bandwidth that were measured in the same process. A dot may lie above the slanted roof where "
        "caches hold what it reads; one that writes much lies below, since a store costs more than a load.",
    )
