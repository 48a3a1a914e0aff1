"""stages.py: what the dynamics show, as sentences: stages and their order, SGD beside theory, the split."""

import math
import statistics

import dynamics
from claims import CLOSE, Finding, listed
from look import number, words

UNDECIDED = 0.25  # of the largest overlap: a head with less is on neither side


def of_parting(found):
    """{direction: time}"""
    return {stage["direction"]: time for time, stage in found if stage["kind"] == "part"}


def rates_of(summary):
    """{direction: (rate, its error)}, of each direction the fastest; there may be none for one."""
    rates = {}
    for mode in summary["hessian"][0]["modes"]:
        rates.setdefault(mode["direction"], (mode["rate"], mode["rate_error"]))
    return rates


def rate_at(rates, n):
    return f"rate {rates[n][0]:.2g} ± {rates[n][1]:.1g}" if n in rates else "the Hessian names no rate"


def together(found, parting):
    times = [time for time, stage in found if stage["kind"] == "together"]
    if not times:
        return Finding(
            "The heads do not move along the mean signal, in theory, by the end of the run.", False
        )
    text = f"In theory the heads move together along the mean signal at t = {times[0]:.3g}"
    if not parting:
        return Finding(f"{text}, and do not part along any direction by the end of the run.")
    first = min(parting.values())
    before = times[0] < first
    return Finding(
        f"{text}, {'before' if before else 'NOT before'} they first part at t = {first:.3g}.", before
    )


def order(run, parting, rates, end):
    """In which order heads part, against the variances and the Hessian's rates."""
    variances = {n: v for n, v in enumerate(run.variances(), 1) if v > 0}
    by_variance = sorted(variances, key=lambda n: -variances[n])
    found = sorted(parting, key=parting.get)
    if not found:
        return [
            Finding(
                f"Along none of the directions {listed(map(str, by_variance))} do they part by t = {end:.4g}.",
                False,
            )
        ]
    at = listed(f"{n} at t = {parting[n]:.3g} ({rate_at(rates, n)})" for n in found)
    agrees = found == by_variance[: len(found)]
    text = f"They part along direction {at}: {'' if agrees else 'NOT '}from the largest variance to the smallest."
    findings = [Finding(text, agrees)]
    missing = [str(n) for n in by_variance if n not in parting]
    if missing:
        findings.append(Finding(f"Along direction {listed(missing)} they have not parted by t = {end:.4g}."))
    by_rate = sorted((n for n in variances if n in rates), key=lambda n: -rates[n][0])
    same = found == [n for n in by_rate if n in parting]
    unstable = all(rates[n][0] > 0 for n in found if n in rates)
    if not by_rate:
        return findings
    text = f"The Hessian's rates, the fastest first, name the directions {listed(map(str, by_rate))}: "
    text += "the order that was found" if same else "NOT the order that was found"
    findings.append(
        Finding(text + ("." if unstable else ", but not all of them as unstable."), same and unstable)
    )
    if len(found) > 2:
        ratio = parting[found[2]] / parting[found[1]]
        findings.append(Finding(f"The third parting comes {ratio:.2g} times as late as the second."))
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
    if error > 2 * spread:
        text += " Most of it is the theory's error: more --samples would tell more."
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
    moved = [stage["stage"] for _, stage in dynamics.stages(summary) if stage["kind"] == "changes_side"]
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
        found = dynamics.stages(summary)
        parting = of_parting(found)
        rates = rates_of(summary)
        end = max(row["time"] for row in run.rows)
        mine = [together(found, parting), *order(run, parting, rates, end)]
        if parting:
            mine.append(changes(summary))
            if "nu" in run.settings:  # of other P_theta an even split is not expected
                mine.append(evenness(run, activation, parting))
        mine += [agreement(summary, run.settings["starts"]), loss(run, activation, summary)]
        if len(run.activations) > 1:
            for finding in mine:
                finding.text = f"{words(activation)}: {finding.text}"
        every += mine
    return every
