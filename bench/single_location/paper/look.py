"""look.py: how activations and heads look in all pictures, and labels at the ends of lines, none over another."""

import matplotlib
import matplotlib.pyplot as plt
import style
from style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION

BROWN = "#7A4A1E"

# A colour and a marker for those that the paper is about: either alone tells them.
KNOWN = {
    "softmax": (VERMILLION, "o"),
    "softmax_1": (BLUE, "s"),
    "softmax_1:mean": (BROWN, "v"),
    "softmax_1+b": (ORANGE, "D"),
    "bayes_softmax": (GREEN, "^"),
    "bayes_softmax+b": (GREEN, "P"),
    "sigmoid+b": (PURPLE, "X"),
}
MAIN = ("softmax", "softmax_1", "softmax_1+b", "bayes_softmax")
OTHERS = ("*", "h", "<", ">", "p", "d", "x", "+", "1")
HEADS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, BROWN)

SMALL = 9.5  # points, of text within panels
FAINT = {"linestyle": "none", "markersize": 4, "alpha": 0.3, "zorder": 1.5}


def words(activation):
    """As running text has it: softmax-1 with a sink, sigmoid with a bias."""
    name, _, combined = activation.partition(":")
    trained = name.endswith("+b")
    name = name.removesuffix("+b")
    text = style.words(name)
    text = text[0].upper() + text[1:] if name == "bayes_softmax" else text
    if trained:
        text += " + sink" if name == "softmax_1" else " + bias"
    return text + (f", {combined}" if combined else "")


def looks(activations):
    """For each activation how its line is drawn: colour, marker, width; those that are not known are grey."""
    spare = iter(OTHERS * len(activations))
    drawn = {}
    for activation in activations:
        known = activation in KNOWN
        color, marker = KNOWN[activation] if known else (GREY, next(spare))
        main = activation in MAIN
        drawn[activation] = {
            "color": color,
            "marker": marker,
            "linewidth": 2.4 if main else 1.2,
            "markersize": 7 if main else 5,
            "zorder": 4 if main else 3 if known else 2,
        }
    return drawn


def ink(color):
    """The colour for text: darker, as letters are thin."""
    return tuple(0.75 * part for part in matplotlib.colors.to_rgb(color))


def number(value):
    """0.325, 4.8·10⁻⁵, 2820."""
    if abs(value) >= 1000:
        return f"{value:.0f}"
    if not 0 < abs(value) < 1e-3:
        return f"{value:.3g}"
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits}·10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def head_color(head):
    """Of the head counted from 0."""
    return HEADS[head % len(HEADS)]


def apart(places, gap, least=0.0, most=1.0):
    """The places, moved as little as it takes to be `gap` apart and within: those that touch share the way."""
    groups = []
    for n in sorted(range(len(places)), key=lambda n: places[n]):
        groups.append((places[n], [n]))
        while True:
            middle, members = groups.pop()
            half = gap * (len(members) - 1) / 2
            middle = max(min(middle, most - half), least + half)
            if not groups or middle - groups[-1][0] >= gap * (len(members) + len(groups[-1][1])) / 2:
                groups.append((middle, members))
                break
            below, lower = groups.pop()
            total = len(lower) + len(members)
            groups.append(((below * len(lower) + middle * len(members)) / total, lower + members))
    moved = list(places)
    for middle, members in groups:
        for n, member in enumerate(members):
            moved[member] = middle + gap * (n - (len(members) - 1) / 2)
    return moved


class Labels:
    """Labels right of panels, at the ends of their lines; placed when all are known, as they take width."""

    def __init__(self):
        self.panels = []

    def add(self, axes, x, ends):
        """ends: [y, text, colour, bold] of lines that end at x."""
        texts = [
            axes.text(
                1.06, 0.5, text, transform=axes.transAxes, color=ink(color), fontsize=SMALL, va="center"
            )
            for _, text, color, _ in ends
        ]
        for text, (*_, bold) in zip(texts, ends):
            text.set_fontweight("bold" if bold else "normal")
        self.panels.append((axes, x, ends, texts))

    def place(self, figure):
        figure.draw_without_rendering()  # the layout makes room for the labels, wherever they are
        figure.set_layout_engine("none")
        for axes, x, ends, texts in self.panels:
            to_panel = (axes.transData + axes.transAxes.inverted()).transform
            points = [to_panel((x, y)) for y, *_ in ends]
            gap = 1.25 * SMALL / (axes.bbox.height * 72 / figure.dpi)
            places = apart([y for _, y in points], gap)
            for text, (end, from_y), to_y, (_, _, color, _) in zip(texts, points, places, ends):
                text.set_y(to_y)
                path = [end, 1.02, 1.05], [min(max(from_y, 0), 1), to_y, to_y]
                axes.plot(
                    *path, transform=axes.transAxes, color=color, linewidth=0.7, alpha=0.6, clip_on=False
                )


def logarithmic_if_wide(axis, values, decades=5):
    """A logarithmic axis where the values differ by more than a factor of 5, over so many decades at most."""
    values = [v for v in values if v > 0]
    if not values:
        return
    most = max(values)
    least = max(min(values), most / 10**decades)
    if most / least > 5:
        steps = (1,) if most / least > 300 else (1, 2, 5)
        style.logarithmic(axis, least / 1.25, most * 1.25, steps)
        axis.set_major_formatter(lambda value, _: f"{value:.9f}".rstrip("0").rstrip("."))
    else:
        axis.axes.set(**{f"{axis.axis_name}lim": (0, most * 1.08)})


def ticks(axis, places, least_gap=0.06):
    """Ticks at those places that are not too near to the next, as a share of the whole."""
    kept = []
    for place in sorted(places, reverse=True):
        if not kept or kept[-1] - place >= least_gap * (max(places) - min(places)):
            kept.append(place)
    style.plain_numbers(axis, kept)


def panels(height, ratios):
    """A figure with panels side by side, of those widths, on axes of their own."""
    figure = plt.figure(figsize=(8, height))
    grid = figure.add_gridspec(1, len(ratios), width_ratios=ratios)
    return figure, [figure.add_subplot(grid[0, n]) for n in range(len(ratios))]
