"""against.py: the pictures of risk against the strength of the signal, the number of heads, and the heads kept."""

import math

import look
from look import SMALL, number, words
from style import BLACK, GREY, Picture, figure


def last_of(line):
    """Where a line of [(x, y)] ends."""
    return line[-1][1]


def bayes_line(axes, line):
    """Wide, and below the lines of the main activations: one that reaches it lies within it."""
    xs, ys = zip(*line)
    axes.plot(xs, ys, color=BLACK, linewidth=5.5, zorder=3.5, solid_capstyle="round")


def label_lines(axes, lines, bayes, labels):
    """A label with its last risk at the end of each line; the Bayes risk's in black."""
    drawn = look.looks(list(lines))
    ends = [
        [last_of(line), f"{words(name)}  {number(last_of(line))}", drawn[name]["color"], name in look.MAIN]
        for name, line in lines.items()
        if math.isfinite(last_of(line))
    ]
    ends.append([last_of(bayes), f"Bayes risk  {number(last_of(bayes))}", BLACK, True])
    labels.add(axes, bayes[-1][0], ends)


def mark_points(axes, points, least, most):
    """A vertical line where there are as many heads as P_theta has points."""
    if points is None or not least <= points <= most:
        return
    axes.axvline(points, color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        f" as many as $P_\\theta$ has points: {points}",
        (points, 1),
        xycoords=("data", "axes fraction"),
        xytext=(2, -2),
        textcoords="offset points",
        va="top",
        fontsize=SMALL,
        color="#444444",
    )


def draw_starts(axes, run, x, lines, bayes):
    """A line for the best start of each activation, dots for the others."""
    drawn = look.looks(list(lines))
    for name, line in lines.items():
        rows = run.select(activation=name)
        dots = [(row[x], row["risk"]) for row in rows]
        axes.plot(*zip(*dots), **{**look.FAINT, "color": drawn[name]["color"], "marker": "o"})
        axes.plot(*zip(*line), **drawn[name])
    bayes_line(axes, bayes)
    values = [row["risk"] for row in run.rows] + [y for _, y in bayes]
    look.logarithmic_if_wide(axes.yaxis, values)
    axes.set_ylabel("test risk")


def best_lines(run, x):
    """{activation: [(x, risk)]} of the best starts, and [(x, Bayes risk)]."""
    lines = {
        name: sorted((one[x], one["risk"]) for one in run.best(activation=name)) for name in run.activations
    }
    return lines, sorted({one[x]: one["bayes"] for one in run.best()}.items())


def largest_error(run):
    return max(row["risk_error"] for row in run.rows)


def finish(name, drawn, labels, title, alt, caption):
    picture = Picture(name, drawn, title, alt, caption)
    labels.place(drawn)
    return picture


def risk_title(lines, bayes):
    if "softmax" not in lines:
        return "Test risk against the strength of the signal"
    return (
        f"At strength {bayes[-1][0]:g} softmax is at {number(last_of(lines['softmax']))}, "
        f"the Bayes risk at {number(last_of(bayes))}"
    )


def mark_floor(axes, floor):
    color = look.KNOWN["softmax"][0]
    axes.axhline(floor, color=color, linestyle=":", linewidth=1.4, zorder=1)
    axes.annotate(
        "softmax's floor",
        (0, floor),
        xycoords=("axes fraction", "data"),
        xytext=(5, 3),
        textcoords="offset points",
        color=look.ink(color),
        fontsize=SMALL,
    )


def risk(run):
    lines, bayes = best_lines(run, "strength")
    drawn, (axes,), _ = figure(5.6)
    labels = look.Labels()
    draw_starts(axes, run, "strength", lines, bayes)
    if "softmax" in lines and last_of(lines["softmax"]) > 2 * last_of(bayes):
        mark_floor(axes, last_of(lines["softmax"]))
    label_lines(axes, lines, bayes, labels)
    look.ticks(axes.xaxis, [x for x, _ in bayes])
    axes.set_xlabel("strength of the signal: what θ's distance from its mean is multiplied by")
    heads = run.settings["heads"][0]
    return finish(
        "risk",
        drawn,
        labels,
        risk_title(lines, bayes),
        f"Line chart: test risk of {len(lines)} activations against the strength of the signal, with the Bayes "
        "risk as the lowest line.",
        f"L = {run.settings['tokens']}, H = {heads}. Lines: of each activation the start with the lowest loss in "
        f"training; faint dots: all {run.settings['starts']} starts. Standard errors of the test are at most "
        f"{largest_error(run):.1g}. Numbers: the risk at the largest strength.",
    )


def heads(run):
    lines, bayes = best_lines(run, "heads")
    drawn, (axes,), _ = figure(5)
    labels = look.Labels()
    draw_starts(axes, run, "heads", lines, bayes)
    counts = [x for x, _ in bayes]
    mark_points(axes, run.points(), counts[0], counts[-1])
    label_lines(axes, lines, bayes, labels)
    look.ticks(axes.xaxis, counts, 0.02)
    axes.set_xlabel("heads H")
    return finish(
        "heads",
        drawn,
        labels,
        "Test risk as heads are added",
        f"Line chart: test risk of {len(lines)} activations against the number of heads, from {counts[0]:g} to "
        f"{counts[-1]:g}, with the Bayes risk as the lowest line.",
        f"L = {run.settings['tokens']}. Lines: the start with the lowest loss in training; faint dots: all "
        f"{run.settings['starts']} starts. Standard errors of the test are at most {largest_error(run):.1g}. "
        "Numbers: the risk with the most heads.",
    )


def prune(run):
    """Of the summary's strengths and numbers of heads the last; the command line has but one of each."""
    drawn, (axes,), _ = figure(5)
    labels = look.Labels()
    looks = look.looks(run.activations)
    lines, bayes = {}, []
    for one in run.best():
        name = one["activation"]
        for start in sorted({row["start"] for row in run.select(activation=name)}):
            rows = run.select(activation=name, start=start)
            line = sorted(((row["kept"], row["risk"]) for row in rows), reverse=True)
            if start == one["start"]:
                lines[name], bayes = line, sorted({row["kept"]: row["bayes"] for row in rows}.items())[::-1]
                axes.plot(*zip(*line), **looks[name])
            else:
                axes.plot(*zip(*line), color=looks[name]["color"], linewidth=0.9, alpha=0.4, zorder=1.5)
    bayes_line(axes, bayes)
    look.logarithmic_if_wide(axes.yaxis, [row["risk"] for row in run.rows] + [y for _, y in bayes])
    axes.set_ylabel("test risk")
    counts = [x for x, _ in bayes]
    axes.set_xlim(counts[0] + 0.3, counts[-1] - 0.3)
    mark_points(axes, run.points(), counts[-1], counts[0])
    label_lines(axes, lines, bayes, labels)
    look.ticks(axes.xaxis, counts, 0.02)
    axes.set_xlabel("heads kept: at each step the one goes whose loss costs least")
    return finish(
        "prune",
        drawn,
        labels,
        "Test risk as heads are taken away",
        f"Line chart: test risk of {len(lines)} activations while heads are taken away, from {counts[0]:g} to "
        f"{counts[-1]:g}, with the Bayes risk as the lowest line.",
        f"L = {run.settings['tokens']}. Bold: the start with the lowest loss in training; faint: the others. "
        "Heads are chosen on samples that are not those of the test, and nothing is trained again. Numbers: the "
        "risk of the last head.",
    )


def noise(run):
    drawn, axes = look.panels(4.6, (1, 1))
    looks, labels = look.looks(run.activations), look.Labels()
    chosen = {(b["activation"], b["strength"], b["heads"], b["start"]) for b in run.best()}
    rows = [r for r in run.rows if (r["activation"], r["strength"], r["heads"], r["start"]) in chosen]
    for panel, quantity in zip(axes, ("irrelevant_noise", "relevant_signal")):
        ends = []
        for name in run.activations:
            line = sorted((row["strength"], row[quantity]) for row in rows if row["activation"] == name)
            panel.plot(*zip(*line), **looks[name])
            if math.isfinite(last_of(line)):
                text = f"{words(name)}  {number(last_of(line))}"
                ends.append([last_of(line), text, looks[name]["color"], name in look.MAIN])
        labels.add(panel, max(run.settings["strengths"]), ends)
        look.ticks(panel.xaxis, run.settings["strengths"], 0.12)
        panel.set_xlabel("strength of the signal")
    look.logarithmic_if_wide(axes[0].yaxis, [row["irrelevant_noise"] for row in rows])
    axes[0].set_title("Noise that irrelevant heads add")
    axes[1].set_title("Signal of the relevant head")
    axes[1].set_ylim(0, 1.08 * max(row["relevant_signal"] for row in rows))
    return finish(
        "noise",
        drawn,
        labels,
        "What heads add to a token whose signal is another head's",
        f"Two line charts against the strength of the signal, for {len(looks)} activations: the noise that "
        "irrelevant heads add, and the signal of the relevant head.",
        f"L = {run.settings['tokens']}, H = {run.settings['heads'][0]}. Of each sample the head with the highest "
        "expected score at the marked token is relevant, the others are not. Right: the share that the relevant "
        "head gives to the marked token. Left: the squared weight that the others, together, give to all "
        "tokens but that one; as those are standard normal, it is the noise per dimension in the prediction.",
    )
