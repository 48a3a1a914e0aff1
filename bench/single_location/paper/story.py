"""story.py: the page that tells claims, pictures and what was measured, and the same sentences for a terminal."""

import html
import textwrap

import page
from claims import CLAIMS, MODEL, SOURCE

STYLE = page.STYLE + """
p.claim { border-left: 4px solid #0072B2; padding-left: 1em; color: #222; }
ul { list-style: none; padding-left: 1.5em; }
li { margin: 0.35em 0; }
li::before { display: inline-block; width: 1.5em; margin-left: -1.5em; content: "·"; }
li.agrees::before { content: "✓"; color: #007a59; }
li.disagrees::before { content: "✗"; color: #b34c00; }
li.disagrees { font-weight: 600; }
figure { margin: 1.5em 0; }
code { font-size: 13px; overflow-wrap: anywhere; }
"""
NOTHING = "not run: there is no {0}.csv and no {0}.json."
WORDS = {
    "tokens": "L, tokens of a sequence",
    "dim": "D, dimension of a token",
    "heads": "H, heads",
    "mu": "μ, the amplitude along direction 1",
    "nu": "ν, those along the others, of fair sign",
    "mean": "mean of θ",
    "variance": "variance of θ",
    "points": "points of θ, weight:amplitudes",
    "rate": "η, step size",
    "batch": "B, samples of a step",
    "starts": "starts, or runs of SGD",
    "sets": "sets of draws of the theory",
}


def verdict(findings):
    """How many of the sentences that can agree with the claim do."""
    decided = [finding.agrees for finding in findings if finding.agrees is not None]
    if not decided:
        return "undecided"
    if all(decided):
        return "agrees"
    return f"agrees in {sum(decided)} of {len(decided)} findings" if any(decided) else "does NOT agree"


def settings(run):
    rows = [("setting", "value")]
    for key, value in run.settings.items():
        text = (
            ", ".join(f"{x:g}" if isinstance(x, (int, float)) else str(x) for x in value)
            if isinstance(value, list)
            else value
        )
        rows.append((WORDS.get(key, key.replace("_", " ")), text))
    return page.table(rows)


def figure(picture):
    return (
        f'<figure>\n<a href="{picture.name}.png">'
        f'<img src="{picture.name}.svg" alt="{html.escape(picture.alt)}"></a>\n'
        f"<figcaption>{html.escape(picture.caption)}</figcaption>\n</figure>"
    )


def section(name, told):
    title, claim = CLAIMS[name]
    head = f'<h2 id="{name}">{html.escape(title)}</h2>\n<p class="claim"><b>The claim.</b> {html.escape(claim)}</p>'
    if told is None:
        return f"{head}\n<p>{html.escape(name.capitalize())}: {NOTHING.format(name)}</p>"
    run, pictures, findings = told
    measured = "\n".join(f'<li class="{f.mark}">{html.escape(f.text)}</li>' for f in findings)
    return f"""{head}
{chr(10).join(map(figure, pictures))}
<h3>Measured here</h3>
<ul>
{measured}
</ul>
<details><summary>Settings of {name}, and its command</summary>
{settings(run)}
<p><code>{html.escape(run.command())}</code></p>
</details>"""


def whole(all_told):
    """The page. all_told: {experiment: (run, pictures, findings), or None where it was not run}."""
    rows = [("experiment", "claim", "measured here")]
    for name, told in all_told.items():
        rows.append((name, CLAIMS[name][0], verdict(told[2]) if told else "not run"))
    sections = "\n".join(section(name, told) for name, told in all_told.items())
    version = next((told[0].hone for told in all_told.values() if told), "")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>hone: specialisation of attention heads</title>
<style>{STYLE}</style></head>
<body>
<h1>How attention heads specialise: the single-location model</h1>
<p>{html.escape(MODEL)}</p>
<p>{html.escape(SOURCE)}</p>
{page.table(rows)}
<p>✓ agrees with the claim, ✗ does not, · only informs; each sentence is computed from the files of this run,
of hone {html.escape(version)}. Where nothing else is said, heads of softmax and softplus are averaged, and
those of all other activations summed.</p>
{sections}
</body>
</html>
"""


def plain(all_told):
    """The same claims and sentences for a terminal."""
    marks = {True: "+", False: "!", None: " "}
    lines = []

    def paragraph(text, first="", rest=""):
        lines.extend(textwrap.wrap(text, 100, initial_indent=first, subsequent_indent=rest))

    for name, told in all_told.items():
        title, claim = CLAIMS[name]
        lines += ["", f"{name}: {title}"]
        paragraph(claim, "  The claim: ", "  ")
        if told is None:
            paragraph(NOTHING.format(name), "  Measured here: ", "  ")
            continue
        lines.append(f"  Measured here: {verdict(told[2])}")
        for finding in told[2]:
            paragraph(finding.text, f"  {marks[finding.agrees]} ", "    ")
    return "\n".join([*lines[1:], "", "+ agrees with the claim, ! does not"])
