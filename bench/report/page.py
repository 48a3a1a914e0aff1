"""page.py: the one HTML page, and the same figures for a terminal."""

import html

from style import dims, threads, words

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #111; background: #fff; }
body { max-width: 860px; margin: 2em auto; padding: 0 1em; }
h1, h2 { line-height: 1.2; }
figure { margin: 2em 0 3em; }
img { width: 100%; height: auto; }
figcaption { color: #333; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: 0.15em 1em 0.15em 0; border-bottom: 1px solid #ddd; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wide { overflow-x: auto; font-size: 13px; }
"""


def machine(report):
    """[(what, its value)] from the context of the JSON."""
    context = report.context
    caches = ", ".join(
        f"L{c['level']} {c['type'].lower()} {c['size'] // 1024} KiB"
        + (f" ×{c['num_sharing']} shared" if c["num_sharing"] > 1 else "")
        for c in context.get("caches", [])
    )
    listed = [
        ("CPU", context.get("cpu")),
        ("cores that the system sees", context.get("num_cpus")),
        ("caches", caches),
        ("operating system", context.get("operating_system")),
        ("compiler", context.get("compiler")),
        ("xsimd", context.get("xsimd")),
        ("hone", f"{context.get('hone_version')} ({context.get('revision')}), {', '.join(report.isas)}"),
        ("threads pinned", context.get("pinned")),
        ("SMT; NUMA nodes", f"{context.get('smt')}; {context.get('numa_nodes')}"),
        ("governor", context.get("governor")),
        ("huge pages", context.get("huge_pages")),
        ("clock", f"{report.clock / 1e9:.2f} GHz"),
        ("time that the host took", f"{100 * float(context.get('stolen_time', 0)):.1f}%"),
        ("measured on", context.get("date")),
        ("load average at the start", ", ".join(f"{x:.2f}" for x in context.get("load_avg", []))),
        ("slices of each case", " to ".join(str(n) for n in sorted(set(report.slices)))),
    ]
    for n in report.threads:
        for dtype, name in (("f32", "float32"), ("f64", "float64")):
            if peak := report.peak(n, dtype):
                per_cycle = f"{report.peak_per_cycle(n, dtype):.1f} FLOP/cycle and core"
                listed.append((f"FMA peak in {name}, {threads(n)}", f"{peak / 1e9:.0f} GFLOP/s, {per_cycle}"))
        listed.append((f"read bandwidth, {threads(n)}", f"{report.bandwidth(n) / 1e9:.1f} GB/s"))
    return [(what, value) for what, value in listed if value not in (None, "")]


def table(rows, numbers=()):
    """An HTML table; the first row is its head, and `numbers` are the columns that hold some."""
    lines = [
        "<table>",
        "<tr>" + "".join(f'<th scope="col">{html.escape(str(x))}</th>' for x in rows[0]) + "</tr>",
    ]
    for row in rows[1:]:
        cells = (
            (
                f'<td class="number">{html.escape(str(x))}</td>'
                if n in numbers
                else f"<td>{html.escape(str(x))}</td>"
            )
            for n, x in enumerate(row)
        )
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "\n".join(lines + ["</table>"])


def all_cases(report):
    rows = [
        (
            "direction",
            "activation",
            "type",
            "shape",
            "threads",
            "ms",
            "GFLOP/s",
            "FLOP/cycle",
            "peak",
            "bandwidth",
            "bound",
            "naive",
            "data",
            "error",
        )
    ]
    for row in report.rows:
        rows.append(
            (
                row.direction,
                words(row.activation),
                row.dtype,
                dims(row.shape) + ("" if row.variant == "plain" else f", {words(row.variant).replace('/', ', ')}"),
                row.threads,
                f"{1e3 * row['seconds']:.4g}",
                f"{row['flops'] / 1e9:.1f}",
                f"{row['flop_per_cycle']:.1f}",
                f"{100 * row['peak_share']:.0f}%",
                f"{100 * row['bandwidth_share']:.0f}%",
                f"{100 * row['roofline_share']:.0f}%",
                f"{row['speedup']:.1f}×",
                row.place,
                f"{row['max_error']:.1e}",
            )
        )
    return table(rows, {*range(4, 12), 13})


def peers(report):
    rows = [("work", "peer", "threads", "hone is as fast", "spread")]
    for p in report.peers["rows"]:
        spread = p.get("spread") or ""
        if isinstance(spread, (list, tuple)):
            spread = " to ".join(f"{x:.2f}" for x in spread)
        elif isinstance(spread, float):
            spread = f"{spread:.2f}"
        ratio = f"{p['ratio']:.2f}×" if p.get("ratio") else "–"
        rows.append((p["work"], p["peer"], p["threads"], ratio, spread))
    return table(rows, (2, 3, 4))


def versions(report):
    known = report.peers.get("versions", {})
    listed = (
        ", ".join(f"{name} {version}" for name, version in known.items())
        if isinstance(known, dict)
        else known
    )
    return html.escape(f"Measured side by side. {listed}".strip())


def page(report, headlines, pictures):
    figures = "\n".join(
        f"<figure>\n<h2>{html.escape(p.name.replace('_', ' ').capitalize())}</h2>\n"
        f'<a href="{p.name}.png"><img src="{p.name}.svg" alt="{html.escape(p.alt)}"></a>\n'
        f"<figcaption>{html.escape(p.caption)}</figcaption>\n</figure>"
        for p in pictures
    )
    compared = ""
    if report.peers["rows"]:
        compared = (
            f'<h2>Against peers</h2>\n<p>{versions(report)}</p>\n<div class="wide">{peers(report)}</div>\n'
        )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>hone: benchmark report</title>
<style>{STYLE}</style></head>
<body>
<h1>hone: benchmark report</h1>
<p>Attention on the CPU, forward and backward: how fast and how exact on this machine.
Each figure is the median of slices of some 50 ms, taken in turns with other cases until the median is known
to 2.5%. The clock, the peak that it is a share of and, where memory could be what bounds it, the read
bandwidth are measured beside each slice: a machine that others use too slows both.</p>
<h2>The machine</h2>
{table([("what", "value"), *machine(report)])}
<h2>The main figures</h2>
{table([("what", "value", "between quartiles"), *headlines], (1, 2))}
{figures}
{compared}<details><summary>Every case</summary>
<p>FLOP/cycle: of one core; peak: share of the FMA peak; bandwidth: of the read bandwidth; bound: of what the two
allow together; naive: times as fast as the naive reference on one thread; data: where all that a call uses
fits.</p>
<div class="wide">{all_cases(report)}</div></details>
</body>
</html>
"""
