"""headlines.py: the main figures, for those who want no picture: [(what, value, range)]."""

from style import threads, words


def share(row, key):
    low, high = row.range(key)
    return f"{100 * row[key]:.0f}%", f"{100 * low:.0f} to {100 * high:.0f}%"


def squares(report):
    """Shares of the FMA peak."""
    cases = [
        ("softmax, N 2048, D 64", {"shape": (1, 8, 8, 2048, 2048, 64, "plain")}),
        ("softmax, N 2048, D 128", {"shape": (1, 8, 8, 2048, 2048, 128, "plain")}),
        ("softmax, N 2048, D 128, float64", {"shape": (1, 8, 8, 2048, 2048, 128, "plain"), "dtype": "f64"}),
        ("causal, N 2048, D 64", {"shape": (1, 8, 8, 2048, 2048, 64, "causal")}),
        ("causal, N 8192, D 64", {"shape": (1, 8, 8, 8192, 8192, 64, "causal")}),
        ("full, N 8192, D 64", {"shape": (1, 8, 8, 8192, 8192, 64, "plain")}),
        ("short, N 64, D 64, B·H 64", {"shape": (8, 8, 8, 64, 64, 64, "plain")}),
        ("causal window of 512, N 2048, D 64", {"shape": (1, 8, 8, 2048, 2048, 64, "causal/window512")}),
        ("window of 512, N 2048, D 64", {"shape": (1, 8, 8, 2048, 2048, 64, "window512")}),
        ("mask of 4 documents, N 2048, D 64", {"shape": (1, 8, 8, 2048, 2048, 64, "documents4")}),
        ("mask that hides 10% of the keys, N 2048, D 64", {"shape": (1, 8, 8, 2048, 2048, 64, "hidden10")}),
        ("64 sequences of 16 to 1024 rows, D 64", {"shape": (64, 8, 8, 1024, 1024, 64, "ragged")}),
    ]
    for name, wanted in cases:
        for direction in ("forward", "backward"):
            for count in report.threads:
                row = report.one(
                    **{
                        "dtype": "f32",
                        "activation": "softmax",
                        "direction": direction,
                        "threads": count,
                        **wanted,
                    }
                )
                if row:
                    value, spread = share(row, "peak_share")
                    yield f"{direction}, {name}, {threads(count)}", f"{value} of the FMA peak", spread


def small_and_decode(report):
    for row in report.rows:
        name = f"{row.direction}, {threads(row.threads)}"
        if row.kind == "fixed cost":
            low, high = row.range("seconds")
            value, spread = f"{1e6 * row['seconds']:.2f} µs", f"{1e6 * low:.2f} to {1e6 * high:.2f} µs"
            yield f"a call with one query and one key, {name}", value, spread
        elif row.kind == "decode" and row["bytes"] > 1e8:
            value, spread = share(row, "bandwidth_share")
            heads = f"Hq/Hkv {row.h // row.kv}, B {row.b}"
            keys = f"Nk 1 to {row.k}" if row.lengths else f"Nk {row.k}"
            yield f"decode, {keys}, {heads}, {threads(row.threads)}", f"{value} of the bandwidth", spread


def single_location(report):
    """Forward and backward together against the sum of what bounds each."""
    for forward in report.select(variant="single_location", direction="forward"):
        backward = report.one(
            shape=forward.shape,
            direction="backward",
            activation=forward.activation,
            dtype=forward.dtype,
            threads=forward.threads,
        )
        if backward:
            bound = sum(row["seconds"] * row["roofline_share"] for row in (forward, backward))
            taken = forward["seconds"] + backward["seconds"]
            name = f"{words(forward.activation)}, forward + backward, {threads(forward.threads)}"
            yield (
                f"single-location model, {name}",
                f"{100 * bound / taken:.0f}% of its bound",
                f"{1e3 * taken:.1f} ms in all",
            )


def rest(report):
    for direction in ("forward", "backward"):
        row = report.one(
            shape=(1, 8, 8, 2048, 2048, 64, "plain"),
            activation="softmax",
            dtype="f32",
            direction=direction,
            threads=1,
        )
        if row:
            yield f"workspace, {direction}, N 2048, D 64, 1 thread", f"{row['workspace'] / 1e6:.1f} MB", ""
    for dtype in ("f32", "f64"):
        rows = report.select(dtype=dtype)
        if rows:
            yield f"largest error of all cases in {dtype}", f"{max(row['max_error'] for row in rows):.1e}", ""


def headlines(report):
    return [*squares(report), *small_and_decode(report), *single_location(report), *rest(report)]
