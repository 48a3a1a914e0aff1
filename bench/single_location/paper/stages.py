"""stages.py: what the dynamics show, as sentences: stages and their order, SGD beside theory, the split."""

import math
import statistics

import dynamics
import marks
from claims import CLOSE, Finding, listed
from look import number, words
from marks import told_time

UNDECIDED = 0.25  # of the largest overlap: a head with less is on neither side


def of_parting(found):
    """{direction: (time, its stage)}, in the order of time."""
    return {stage["direction"]: (time, stage) for time, stage in found if stage["kind"] == "part"}


def orders(summary, source):
    """Of each run the directions along which heads part, in the order of time."""
    return [
        [stage["direction"] for stage in single["stages"] if stage["kind"] == "part"]
        for single in summary[source]
    ]


def by_variance(run):
    """The directions along which theta varies, from the largest variance on."""
    variances = {n: v for n, v in enumerate(run.variances(), 1) if v > 0}
    return sorted(variances, key=lambda n: -variances[n])


def rates_of(summary):
    """{direction: (rate, its error)}, of each direction the fastest; there may be none for one."""
    rates = {}
    for mode in summary["hessian"][0]["modes"]:
        rates.setdefault(mode["direction"], (mode["rate"], mode["rate_error"]))
    return rates


def together(found, parting):
    times = [(time, stage) for time, stage in found if stage["kind"] == "together"]
    if not times:
        return Finding("In theory the heads do not move along the mean signal by the end of the run.", False)
    text = f"In theory the heads move together along the mean signal at {told_time(*times[0])}"
    if not parting:
        return Finding(f"{text}, and do not part along any direction by the end of the run.")
    first = next(iter(parting.values()))
    before = times[0][0] < first[0]
    return Finding(
        f"{text}, {'before' if before else 'NOT before'} they part, at {told_time(*first)}.", before
    )


def order(run, summary, parting, end):
    """In which order heads part, in theory and by SGD, against the variances of theta."""
    expected, findings = by_variance(run), []
    if not expected:  # theta does not vary
        return []
    if not parting:
        return [
            Finding(f"In theory they do not part along direction {listed(expected)} by t = {end:.4g}.", False)
        ]
    at = listed(f"{n} at {told_time(*parting[n])}" for n in parting)
    agrees = list(parting) == expected[: len(parting)]
    text = f"They part along direction {at}: {'' if agrees else 'NOT '}from the largest variance to the smallest."
    findings.append(Finding(text, agrees))
    others = [o for o in orders(summary, "theory") if o != expected[: len(o)]]
    if agrees and others:
        told = "; ".join(listed(o) for o in others)
        text = f"That is on average: {len(others)} of the {run.settings['sets']} sets of draws "
        findings.append(
            Finding(f"{text}{'finds' if len(others) == 1 else 'find'} ANOTHER order ({told}).", False)
        )
    missing = [n for n in expected if n not in parting]
    if missing:
        findings.append(Finding(f"Along direction {listed(missing)} they have not parted by t = {end:.4g}."))
    by_sgd = orders(summary, "sgd")
    if any(by_sgd):
        told = "; ".join(listed(o) if o else "none" for o in by_sgd)
        same = all(o == expected[: len(o)] for o in by_sgd)
        text = f"Run by run, SGD parts along direction {told}: {'the same' if same else 'ANOTHER'} order."
        findings.append(Finding(text, same))
    return findings


def predicted(run, summary, parting):
    """Whether the Hessian where heads are equal names the order, and how late the slow partings are."""
    rates = rates_of(summary)
    by_rate = sorted((n for n in by_variance(run) if n in rates), key=lambda n: -rates[n][0])
    told = listed(f"{n} ({rates[n][0]:.2g} ± {rates[n][1]:.1g})" for n in by_rate)
    same = list(parting) == [n for n in by_rate if n in parting]
    text = f"The Hessian's rates, the fastest first: direction {told}; "
    text += "the order that was found" if same else "NOT the order that was found"
    unstable = all(rates[n][0] > 0 for n in parting if n in rates)
    text += "." if unstable else ", and NOT all as unstable."
    findings = [Finding(text, same and unstable)] if by_rate else []
    if len(parting) > 2:
        second, third = (time for time, _ in list(parting.values())[1:3])
        findings.append(Finding(f"The third parting comes {third / second:.2g} times as late as the second."))
    return findings


def agreement(summary, starts):
    """How far SGD is from theory, against what the spread of its runs and the theory's own error allow."""
    a = summary["agreement"]
    distance, spread, error = a["sgd_from_theory"], a["spread_of_sgd_runs"], a["error_of_theory"]
    if starts < 2 or not math.isfinite(spread):
        return Finding(
            f"The run of SGD is {number(distance)} from theory (root mean square over times, heads and directions)."
        )
    error = error if math.isfinite(error) else 0
    allowed = math.hypot(spread / math.sqrt(starts), error)
    close = distance <= CLOSE * allowed
    text = (
        f"SGD's mean run is {number(distance)} from theory (root mean square over times, heads and directions); "
        f"single runs spread by {number(spread)}, and the theory's own error is {number(error)}: "
    )
    text += "no further than these explain." if close else "FURTHER than these explain."
    if close and error > 2 * spread:
        return Finding(text + " But the theory's error is most of that: more --samples would tell.")
    return Finding(text, close)


def evenness(run, activation, parting):
    """How many heads end on either side along each direction in which they part."""
    told, even, settled = [], True, True
    theory = dynamics.curves(run, activation, "theory", "M")
    heads = range(1, run.settings["heads"][0] + 1)
    for n in sorted(parting):
        last = [statistics.fmean(line[-1][1] for line in theory[h, n].values()) for h in heads]
        clear = UNDECIDED * max(map(abs, last))
        above, below = sum(x > clear for x in last), sum(x < -clear for x in last)
        between = len(last) - above - below
        even, settled = even and abs(above - below) <= 1 + between, settled and between == 0
        undecided = f" ({between} undecided)" if between else ""
        told.append(f"{above} to {below}{undecided} along direction {n}")
    text = f"Heads with a positive overlap to those with a negative at the end, in theory: {listed(told)}: "
    if not even:
        return Finding(f"{text}NOT an even split.", False)
    return Finding(
        text + ("an even split." if settled else "not settled by then."), True if settled else None
    )


def changes(summary):
    moved = [stage["stage"] for _, stage in marks.stages(summary) if stage["kind"] == "changes_side"]
    if not moved:
        return Finding("No head changes sides after it has been clearly on one.")
    return Finding(f"On the way, {listed(moved)}.")


def loss(run, activation, summary):
    """The plateau where heads are equal, and where they end."""
    point = summary["hessian"][0]
    last = {}
    for source in ("theory", "flow"):
        lines = dynamics.curves(run, activation, source, "loss")[0, 0].values()
        last[source] = statistics.fmean(line[-1][1] for line in lines)
    below = last["theory"] < point["loss"] - CLOSE * point["loss_error"]
    return Finding(
        f"Where heads are equal the loss is {point['loss']:.3f} ± {point['loss_error']:.1g}; specialised, it ends "
        f"{'at' if below else 'NOT below that, at'} {last['theory']:.3f}, and at {last['flow']:.3f} without the "
        "noise of minibatches.",
        below,
    )


def findings(run):
    """Of all activations, in turn."""
    every = []
    for activation in run.activations:
        summary = dynamics.of(run, activation)
        found = marks.stages(summary)
        parting = of_parting(found)
        end = max(row["time"] for row in run.rows)
        mine = [together(found, parting), *order(run, summary, parting, end)]
        if parting:
            mine += [*predicted(run, summary, parting), changes(summary)]
            if "nu" in run.settings:  # of other P_theta an even split is not expected
                mine.append(evenness(run, activation, parting))
        mine += [agreement(summary, run.settings["starts"]), loss(run, activation, summary)]
        if len(run.activations) > 1:
            for finding in mine:
                finding.text = f"{words(activation)}: {finding.text}"
        every += mine
    return every
