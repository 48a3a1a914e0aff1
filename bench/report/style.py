"""style.py: what all pictures share: colours and markers that the colour-blind tell apart, sizes, saving."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Okabe and Ito's palette.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#767676"

# A colour and a marker for each kind of row: either alone tells it.
KINDS = {
    "forward": (BLUE, "o"),
    "backward": (VERMILLION, "s"),
    "decode": (GREEN, "^"),
    "decode from a cache": (SKY, "v"),
    "single-location model": (PURPLE, "D"),
}
NAIVE = (GREY, "x")
PEERS = [(ORANGE, "v"), (GREEN, "P"), (PURPLE, "D"), (SKY, "^"), (VERMILLION, "X"), (BLACK, "*"), (GREY, "h")]

plt.rcParams.update(
    {
        "figure.dpi": 100,
        "savefig.dpi": 140,
        "figure.constrained_layout.use": True,
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": "#DDDDDD",
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "legend.fontsize": 10,
        "lines.linewidth": 1.8,
        "lines.markersize": 6.5,
        "svg.hashsalt": "hone",
    }
)


class Picture:
    """A figure with its name, the words for those who do not see it, and what to know when reading it."""

    def __init__(self, name, figure, title, alt, caption):
        self.name, self.figure, self.title, self.alt, self.caption = name, figure, title, alt, caption
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")

    def save(self, directory, suffixes=(".png", ".svg")):
        for suffix in suffixes:
            metadata = {"Date": None} if suffix == ".svg" else None
            self.figure.savefig(directory / (self.name + suffix), metadata=metadata)


def figure(height, columns=1, legend=0.0):
    """A figure of that height, its panels, which share the y axis, and below them room for a legend."""
    drawn = plt.figure(figsize=(8, height))
    grid = drawn.add_gridspec(
        2 if legend else 1, columns, height_ratios=[height - legend, legend] if legend else None
    )
    panels = [drawn.add_subplot(grid[0, 0])]
    panels += [drawn.add_subplot(grid[0, n], sharey=panels[0]) for n in range(1, columns)]
    for panel in panels[1:]:
        panel.tick_params(labelleft=False)
    room = drawn.add_subplot(grid[1, :]) if legend else None
    if room:
        room.axis("off")
    return drawn, panels, room


def legend(room, panels, columns):
    """What the panels show, each thing once."""
    entries = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels()):
            entries.setdefault(label, handle)
    room.legend(
        entries.values(), entries.keys(), loc="center", ncol=columns, columnspacing=1.5, handletextpad=0.4
    )


def plain_numbers(axis, ticks):
    """Ticks at these places alone, as they are written in running text."""
    axis.set_major_locator(matplotlib.ticker.FixedLocator(ticks))
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(matplotlib.ticker.NullLocator())


def logarithmic(axis, least, most, steps=(1, 2, 5)):
    """A logarithmic axis with plain numbers: powers of ten times these steps."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log", f"{axis.axis_name}lim": (least, most)})
    ticks = [step * 10.0**power for power in range(-9, 9) for step in steps]
    plain_numbers(axis, [tick for tick in ticks if least <= tick <= most])


def whiskers(axes, x, y, low, high, horizontal, color):
    """From one quartile of the slices to the other."""
    draw = axes.hlines if horizontal else axes.vlines
    draw(y if horizontal else x, low, high, color=color, linewidth=1.4, alpha=0.7, zorder=1)


def words(activation):
    """As running text has it: softmax-1, Bayes-softmax, ReLU²."""
    for name, written in (("_squared", "²"), ("_", "-"), ("relu", "ReLU"), ("bayes", "Bayes")):
        activation = activation.replace(name, written)
    return activation


def threads(n):
    return f"{n} thread" + ("" if n == 1 else "s")


def dims(shape):
    b, h, kv, q, k, d, _ = shape
    heads = f"H {h}" if h == kv else f"H {h}/{kv}"
    return f"B {b}, {heads}, " + (f"N {q}" if q == k else f"Nq {q}, Nk {k}") + f", D {d}"
