"""roofline.py: every kernel a dot under the two roofs, the FMA peak and the read bandwidth, per cycle of one core."""

import numpy

from style import GREY, KINDS, NAIVE, Picture, figure, legend, logarithmic, threads


def intensity(row):
    """Operations for each byte that the call cannot do without."""
    return row["flop_per_cycle"] / row["bytes_per_cycle"]


def bytes_per_cycle(report, count):
    """What one of so many cores reads from memory."""
    return report.bandwidth(count) / (count * report.clock)


def note(axes, text, x, y, offset):
    axes.annotate(text, (x, y), offset, textcoords="offset points", ha="right", fontsize=9.5)


def draw_roofs(axes, report, count, span):
    bandwidth = bytes_per_cycle(report, count)
    for dtype, line in (("f32", "-"), ("f64", "--")):
        peak = report.peak_per_cycle(count, dtype)
        if not peak:
            continue
        axes.plot(span, numpy.minimum(peak, span * bandwidth), line, color=GREY, linewidth=1.5)
        if dtype == "f64":
            note(axes, f"{peak:.0f} in double", peak / bandwidth, peak, (-7, -4))
        else:
            note(axes, f"{peak:.0f}: {report.peak(count) / 1e9:.0f} GFLOP/s", span[-1], peak, (0, 4))
    middle = numpy.sqrt(span[0] * report.peak_per_cycle(count) / bandwidth)
    note(axes, f"{report.bandwidth(count) / 1e9:.0f} GB/s", middle, middle * bandwidth, (-6, 0))


def draw_dots(axes, rows):
    for kind, (color, marker) in KINDS.items():
        for dtype, face in (("f32", color), ("f64", "white")):
            chosen = [row for row in rows if row.kind == kind and row.dtype == dtype]
            axes.plot(
                [intensity(row) for row in chosen],
                [row["flop_per_cycle"] for row in chosen],
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
        [row["flop_per_cycle"] / row["speedup"] for row in rows],
        linestyle="none",
        marker=NAIVE[1],
        color=NAIVE[0],
        markersize=4.5,
        label="naive reference",
    )


def under_roof(report, row):
    """The dot over the flat roof above it."""
    return row["flop_per_cycle"] / report.peak_per_cycle(row.threads, row.dtype)


def roofline(report):
    counts = sorted({report.threads[0], report.threads[-1]})
    shown = [row for row in report.rows if row.kind in KINDS and row.threads in counts]
    if not shown:
        return None
    work = [intensity(row) for row in shown]
    span = numpy.geomspace(min(work) / 2, max(work) * 2, 200)
    drawn, panels, room = figure(5.2, len(counts), legend=0.65)
    for axes, count in zip(panels, counts):
        rows = [row for row in shown if row.threads == count]
        draw_roofs(axes, report, count, span)
        draw_dots(axes, rows)
        if count == 1:
            draw_naive(axes, rows)
        logarithmic(axes.xaxis, span[0] / 4, span[-1] * 1.3, steps=(1,))
        least = min(row["flop_per_cycle"] for row in shown)
        logarithmic(axes.yaxis, least / 2, 1.6 * max(report.peak_per_cycle(n) for n in counts))
        axes.set(title=threads(count), xlabel="operations per byte (FLOP/B)")
    panels[0].set_ylabel("speed of one core (FLOP/cycle)")
    legend(room, panels, 4)
    best = max(under_roof(report, row) for row in shown)
    return Picture(
        "roofline",
        drawn,
        f"The best kernel reaches {100 * best:.0f}% of the machine's FMA peak",
        f"Rooflines for {' and '.join(threads(n) for n in counts)}: operations per cycle of one core against "
        f"operations per byte, both logarithmic, with {len(shown)} dots under a slanted roof, the read "
        "bandwidth, and a flat one, the FMA peak.",
        "Each dot is one case: its operations per cycle of one core against its operations per byte that it "
        "cannot do without (each input read once, each output written once). The roofs are the medians of "
        "the FMA peak and of the read bandwidth, measured beside every case, and the title is a dot over the "
        f"flat roof above it. The clock ran at {report.clock / 1e9:.2f} GHz. The slanted roof is that of "
        "memory: decoding from a cache may lie above it; what writes much lies below, since a store costs "
        "more than a load.",
    )
