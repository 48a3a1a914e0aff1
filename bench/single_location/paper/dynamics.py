"""dynamics.py: the picture of overlaps over time: theory as lines, SGD as dots, the stages marked and named."""

import collections
import re
import statistics

import look
import marks
import matplotlib.pyplot as plt
import style
from look import SMALL, words
from style import BLACK, GREY, SKY, VERMILLION, Picture

DOTS = 14  # of a run of SGD, over the whole time: more hide the lines
TICKS = [step * 10.0**power for power in range(-6, 9) for step in (1, 2, 5)]
MANY = 7  # heads, more than which that end together are counted, not named


def curves(run, activation, source, quantity):
    """{(i, j): {run: [(time, value)]}} in the order of time, without t = 0, which no logarithmic axis has."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in run.select(activation=activation, source=source, quantity=quantity):
        if row["time"] > 0:
            found[int(row["i"]), int(row["j"])][row["run"]].append((row["time"], row["value"]))
    return found


def of(run, activation):
    return next(one for one in run.summary if one["activation"] == activation)


def signed(value):
    return f"{value:+.5f}".replace("-", "−")


def mean_and_range(by_run):
    """Times, and at each the mean over the runs, the least and the most."""
    lines = list(by_run.values())
    at = [[value for _, value in moment] for moment in zip(*lines)]
    return (
        [time for time, _ in lines[0]],
        list(map(statistics.fmean, at)),
        list(map(min, at)),
        list(map(max, at)),
    )


def thin_out(line, span):
    """Of a line the points nearest to evenly spaced places on the axis, each once."""
    first, last = span
    line = [point for point in line if point[0] >= first]
    if not line:
        return []
    wanted = [first * (last / first) ** (n / (DOTS - 1)) for n in range(DOTS)]
    return sorted({min(line, key=lambda point: abs(point[0] / time - 1)) for time in wanted})


def draw_line(axes, by_run, color, **look_of):
    times, mean, least, most = mean_and_range(by_run)
    axes.fill_between(times, least, most, color=color, alpha=0.18, linewidth=0, zorder=1)
    axes.plot(times, mean, color=color, **look_of)
    return mean[-1]


def draw_dots(axes, by_run, color, span):
    for points in filter(None, (thin_out(line, span) for line in by_run.values())):
        axes.plot(
            *zip(*points),
            linestyle="none",
            marker="o",
            markersize=4.2,
            markerfacecolor=color,
            markeredgecolor="white",
            markeredgewidth=0.5,
            zorder=4,
            clip_on=False,
        )


def name_heads(axes, last, span):
    """The heads' numbers where their lines end; those that end together in a row."""
    low, high = axes.get_ylim()
    groups = []
    for head, y in sorted(last.items(), key=lambda item: item[1]):
        if groups and y - statistics.fmean(v for _, v in groups[-1]) < 0.11 * (high - low):
            groups[-1].append((head, y))
        else:
            groups.append([(head, y)])
    for group in groups:
        middle = statistics.fmean(y for _, y in group)
        named = [(str(head), look.ink(look.head_color(head - 1))) for head, _ in sorted(group)]
        if len(named) > MANY:
            named = [(f"{len(named)} heads", "#444444")]
        offset = 8
        for text, color in named:
            axes.annotate(
                text,
                (span[1], middle),
                xytext=(offset, 0),
                textcoords="offset points",
                va="center",
                fontsize=SMALL,
                fontweight="bold",
                color=color,
            )
            offset += 3 + 6.5 * len(text)


def draw_direction(axes, run, activation, direction, span):
    theory, sgd = (curves(run, activation, source, "M") for source in ("theory", "sgd"))
    last = {}
    for head in range(1, run.settings["heads"][0] + 1):
        color = look.head_color(head - 1)
        last[head] = draw_line(axes, theory[head, direction], color, linewidth=1.8, zorder=3)
        draw_dots(axes, sgd[head, direction], color, span)
    name_heads(axes, last, span)
    modes = [m for m in of(run, activation)["hessian"][0]["modes"] if m["direction"] == direction]
    variance = run.variances()[direction - 1]
    axes.set_title(f"direction {direction}: Var θ = {variance:.3g}", fontsize=SMALL + 1, pad=4)
    if modes:
        mode = modes[0]
        what = "heads part" if mode["rate"] > 0 else "no parting"
        text = f"Hessian: {what}, rate {signed(mode['rate'])} ± {mode['rate_error']:.5f}"
        axes.set_title(text, loc="right", fontsize=SMALL, color="#444444", pad=4)
    axes.set_ylabel(f"$q_h \\cdot k_{direction}$")


def draw_loss(axes, run, activation, span):
    theory, flow, sgd = (
        curves(run, activation, source, "loss")[0, 0] for source in ("theory", "flow", "sgd")
    )
    draw_line(axes, theory, BLACK, linewidth=1.8, zorder=3, label="theory, with minibatches' noise")
    draw_line(axes, flow, SKY, linewidth=1.8, linestyle="--", zorder=3, label="gradient flow, without")
    draw_dots(axes, sgd, GREY, span)
    axes.plot([], [], "o", color=GREY, markersize=4.2, label="SGD")
    point = of(run, activation)["hessian"][0]
    axes.axhline(point["loss"], color=VERMILLION, linewidth=1.2, linestyle=":", zorder=2)
    axes.annotate(
        "where heads are equal",
        (1, point["loss"]),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        fontsize=SMALL,
        color=VERMILLION,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )
    axes.set_title("loss", fontsize=SMALL + 1, pad=4)
    axes.set_ylabel("loss")
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.01, 0.97),
        ncol=3,
        fontsize=SMALL,
        columnspacing=1.2,
        handlelength=1.6,
    )


def caption(run, activation):
    s = run.settings
    sets = f"the mean over {s['sets']} sets of draws" if s["sets"] > 1 else "of one set of draws"
    runs = f"{s['starts']} run{'s' if s['starts'] > 1 else ''} of SGD from the same queries"
    return (
        f"{words(activation)}, L = {s['tokens']}, D = {s['dim']}, H = {s['heads'][0]}, batches of {s['batch']}. "
        f"Lines: theory in the limit of large D with the noise of minibatches, {sets}, in a band for their "
        f"range; dots: {runs}. A colour is a head, with its number at the end of its line. Dashed verticals: "
        "stages found in theory, each where it is half done."
    )


def panels_and_strip(directions, rows):
    """A figure, its panels, which share the time, and above them a strip for so many rows of names."""
    strip_height, height = 0.22 * max(rows, 0.1), 1.75
    drawn = plt.figure(figsize=(8, 0.6 + strip_height + height * (directions + 1)))
    grid = drawn.add_gridspec(directions + 2, 1, height_ratios=[strip_height] + [height] * (directions + 1))
    panels = [drawn.add_subplot(grid[1, 0])]
    panels += [drawn.add_subplot(grid[n, 0], sharex=panels[0]) for n in range(2, directions + 2)]
    for panel in panels[:-1]:
        panel.tick_params(labelbottom=False, which="both")
    strip = drawn.add_subplot(grid[0, 0], sharex=panels[0])
    strip.set_ylim(0, max(rows, 0.1))
    strip.axis("off")
    return drawn, panels, strip


def draw(run, activation):
    """The picture of one activation: a panel for each direction, one for the loss, all over the same time."""
    found = marks.stages(of(run, activation))
    times = [row["time"] for row in run.select(activation=activation, source="theory") if row["time"] > 0]
    span = (max(min(times), min([time for time, _ in found], default=0) / 20), max(times))
    placed, rows = marks.rows_of_names(found, span, width=460)
    directions = len(run.variances())
    drawn, panels, strip = panels_and_strip(directions, rows)
    panels[0].set(xscale="log", xlim=span)
    for direction, panel in enumerate(panels[:-1], 1):
        draw_direction(panel, run, activation, direction, span)
    draw_loss(panels[-1], run, activation, span)
    marks.mark(panels, strip, placed)
    style.plain_numbers(panels[0].xaxis, [x for x in TICKS if span[0] <= x <= span[1]])
    panels[-1].set_xlabel("time t = η × steps")
    first = activation == run.activations[0]
    return Picture(
        "dynamics" if first else "dynamics_" + re.sub(r"\W+", "_", activation),
        drawn,
        marks.title(found, run.settings["heads"][0]),
        f"{directions + 1} line charts over time on a logarithmic axis: each head's overlap with each hidden "
        f"direction, then the loss; {len(found)} stages are marked by vertical lines.",
        caption(run, activation),
    )
