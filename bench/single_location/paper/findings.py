"""findings.py: what the experiments with trained heads show, as sentences with numbers."""

import math

from claims import CLOSE, Finding, listed
from look import number, words
from runs import Run

LITTLE = 0.05  # of a risk: a change of less is little
NOTHING = 0.01  # of the loss without a prediction, which is 1

SOFTMAX, SUM, MEAN, SINK, BAYES = "softmax", "softmax_1", "softmax_1:mean", "softmax_1+b", "bayes_softmax"


def by(run: Run, key):
    """{activation: {key: the best start}}, in the order of the key."""
    return {
        name: {one[key]: one for one in sorted(run.best(activation=name), key=lambda one: one[key])}
        for name in run.activations
    }


def against_bayes(one):
    """The excess over the Bayes risk, and in standard errors. Both are of the same samples where D is infinite,
    where this overstates the error."""
    excess = one["risk"] - one["bayes"]
    error = math.hypot(one["risk_error"], one["bayes_error"])
    return excess, excess / error if error > 0 else math.copysign(math.inf, excess)


def floor(of_softmax):
    strengths = list(of_softmax)
    last = of_softmax[strengths[-1]]
    excess, errors = against_bayes(last)
    stays = errors > CLOSE and last["risk"] > 2 * last["bayes"]
    text = (
        f"At strength {strengths[-1]:g} softmax's risk is {number(last['risk'])} ± {number(last['risk_error'])} "
        f"and the Bayes risk {number(last['bayes'])}: "
    )
    text += "a floor." if stays else "NO clear floor."
    before = of_softmax[strengths[-2]] if len(strengths) > 1 else last
    if before is not last and before["bayes"] > 0:
        text += (
            f" From strength {strengths[-2]:g} on, softmax's falls to {last['risk'] / before['risk']:.0%} of "
            f"what it was, the Bayes risk to {last['bayes'] / before['bayes']:.1%}."
        )
    return Finding(text, stays)


def reaches_bayes(of_bayes):
    """The strengths at which Bayes-softmax is further from the Bayes risk than chance explains."""
    away = {s: against_bayes(one) for s, one in of_bayes.items()}
    most = max(away, key=lambda s: away[s][0])
    excess, errors = away[most]
    told = f"Bayes-softmax is at most {number(excess)} above the Bayes risk"
    told += f" (at strength {most:g}, {errors:.1f} standard errors)"
    beyond = [s for s in away if away[s][1] > CLOSE]
    if not beyond:
        return Finding(f"{told}: it reaches it at all strengths.", True)
    at = listed(f"{s:g}" for s in beyond)
    if excess < NOTHING:
        worst = max(beyond, key=lambda s: away[s][0] / of_bayes[s]["risk"])
        share = away[worst][0] / of_bayes[worst]["risk"]
        return Finding(
            f"{told}. That is next to nothing of the loss without a prediction, which is 1, but more than chance "
            f"at strength {at}: at strength {worst:g} {share:.0%} of its risk of "
            f"{number(of_bayes[worst]['risk'])} is "
            "excess, which longer training may remove.",
            True,
        )
    return Finding(f"{told}; at strength {at} it does NOT reach it.", False)


def softmax_1(lines, strength):
    """The conventions of softmax-1, beside softmax, at one strength."""
    here = {name: lines[name][strength] for name in (SUM, MEAN, SINK) if name in lines}
    if not here or SOFTMAX not in lines:
        return []
    plain = lines[SOFTMAX][strength]
    findings = []
    for name, one in here.items():
        gap = plain["risk"] - one["risk"]
        error = math.hypot(plain["risk_error"], one["risk_error"])
        how = "below" if gap > CLOSE * error else "NOT below" if gap < -CLOSE * error else "no different from"
        how_combined = {SUM: " summed without a sink", MEAN: "", SINK: " (summed)"}[name]
        findings.append(
            Finding(
                f"At strength {strength:g} {words(name)}{how_combined} is at {number(one['risk'])}, {how} "
                f"softmax's {number(plain['risk'])}.",
                gap > CLOSE * error,
            )
        )
    return findings


def crossing(of_one, of_softmax, name):
    """From which strength on an activation beats softmax, where that is not everywhere."""
    better = [s for s in of_one if of_one[s]["risk"] < of_softmax[s]["risk"]]
    if not better or len(better) == len(of_one):
        return []
    worse = [f"{s:g}" for s in of_one if s not in better]
    return [Finding(f"At strength {listed(worse)} {words(name)} is worse than softmax.")]


def risk(run):
    lines = by(run, "strength")
    found = []
    strengths = sorted({one["strength"] for one in run.best()})
    if SOFTMAX in lines:
        found.append(floor(lines[SOFTMAX]))
    found += softmax_1(lines, strengths[-1])
    if SUM in lines and SOFTMAX in lines:
        found += crossing(lines[SUM], lines[SOFTMAX], SUM)
    if BAYES in lines:
        found.append(reaches_bayes(lines[BAYES]))
    ranked = sorted(lines, key=lambda name: lines[name][strengths[-1]]["risk"])
    if len(ranked) > 1:
        told = ", ".join(f"{words(n)} {number(lines[n][strengths[-1]]['risk'])}" for n in ranked)
        found.append(Finding(f"From the lowest risk to the highest at strength {strengths[-1]:g}: {told}."))
    return found + starts(run)


def starts(run):
    """Where trainings from other starts ended elsewhere."""
    worse = {}
    for one in run.best():
        rows = run.select(activation=one["activation"], strength=one["strength"], heads=one["heads"])
        gap = max(row["risk"] for row in rows) - one["risk"]
        if gap > LITTLE * one["risk"] and gap > CLOSE * one["risk_error"]:
            worse[one["activation"]] = max(gap, worse.get(one["activation"], 0))
    if run.settings["starts"] < 2 or not worse:
        return []
    told = listed(f"{words(name)} (up to {number(gap)} higher)" for name, gap in worse.items())
    return [Finding(f"Other starts ended visibly higher than the best for {told}.")]


def heads(run):
    points, lines, found = run.points(), by(run, "heads"), []
    most = max(run.settings["heads"])
    if BAYES in lines and points in lines[BAYES] and points < most:
        at, after = (lines[BAYES][n]["risk"] for n in (points, most))
        fewer = [n for n in lines[BAYES] if n < points]
        text = f"Bayes-softmax: {number(at)} with {points} heads, as many as there are points"
        text += f", {number(after)} with {most:g}"
        if fewer:
            text += f", {number(lines[BAYES][fewer[-1]]['risk'])} with {fewer[-1]:g}"
        no_more = at - after < LITTLE * at
        found.append(Finding(text + f": more heads help {'no more' if no_more else 'STILL'}.", no_more))
    for name in lines:
        best = min(lines[name], key=lambda n: lines[name][n]["risk"])
        last = lines[name][most]["risk"]
        text = f"{words(name)}: lowest with {best:g} head{'' if best == 1 else 's'}"
        text += f", {number(lines[name][best]['risk'])}"
        found.append(
            Finding(text + (f"; with {most:g} {number(last)}." if best != most else ", the most tried."))
        )
    return found + surplus(lines, most) + starts(run)


def surplus(lines, most):
    """Whether heads of softmax-1 that are too many fall silent: summed without a sink, as a mean, with a sink."""
    found = []
    for name, text in (
        (SUM, "summed without a trained sink"),
        (MEAN, "as a mean"),
        (SINK, "with a trained sink per head"),
    ):
        if name not in lines or len(lines[name]) < 2:
            continue
        least = min(one["risk"] for one in lines[name].values())
        cost = lines[name][most]["risk"] / least - 1
        silent = cost < LITTLE
        how = "fall silent" if silent else "do NOT fall silent"
        found.append(
            Finding(
                f"Softmax-1 {text}: at {most:g} heads the risk is {cost:.0%} above its lowest; "
                f"surplus heads {how}.",
                silent,
            )
        )
    return found


def cost_in_words(share):
    """Of pruning, as a share of the risk with all heads."""
    if share < -LITTLE:
        return "a gain, as the surplus does harm"
    return "no cost" if share <= 0 else "little cost" if share < LITTLE else "NOT a little cost"


def pruned(run):
    """(activation, {heads kept: risk}) of the best start of each."""
    for one in run.best():
        rows = run.select(activation=one["activation"], start=one["start"], heads=one["heads"])
        yield one["activation"], {int(row["kept"]): row["risk"] for row in rows}


def prune(run):
    points, full = run.points(), run.settings["heads"][0]
    lowest = [f"{words(name)} {min(risks, key=risks.get)}" for name, risks in pruned(run)]
    found = [Finding(f"Heads kept where the risk is lowest: {', '.join(lowest)}.")]
    if points is None:
        return [Finding("A Gaussian θ has no points that heads could be more than."), *found]
    if points >= full:
        return [Finding(f"Of at most {full}, with {points} points, no head is redundant."), *found]
    costs = []
    for name, risks in pruned(run):
        share = risks[points] / risks[full] - 1
        text = f"{words(name)}: {number(risks[full])} with {full} heads, {number(risks[points])} pruned to {points}"
        text += f" ({share:+.1%})".replace("-", "−")
        if points > 1:
            text += f", {number(risks[points - 1])} with one fewer"
        claimed = name in (SUM, MEAN, SINK, BAYES)
        costs.append(Finding(f"{text}: {cost_in_words(share)}.", share < LITTLE if claimed else None))
    return costs + found


def noise(run):
    lines = by(run, "strength")
    strength = max(run.settings["strengths"])
    signals = {(r["activation"], r["start"]): r["relevant_signal"] for r in run.select(strength=strength)}
    here = {}  # the noise, and the relevant head's signal
    for name in lines:
        one = lines[name][strength]
        here[name] = one["irrelevant_noise"], signals[name, one["start"]]
    found = []
    if SOFTMAX in here and min(here[SOFTMAX]) > 0:
        found += [less_noise(name, here, strength) for name in (SUM, MEAN, SINK, BAYES) if name in here]
    told = [f"{words(n)} {number(x / s**2)}" for n, (x, s) in here.items() if s > 0]
    if told:
        found.append(
            Finding(
                "A mean of heads scales signal and noise alike, a sum does not. For comparison, the noise over the "
                f"square of the relevant head's signal at strength {strength:g}: {', '.join(told)}."
            )
        )
    return found


def less_noise(name, here, strength):
    """Of an activation beside softmax: the noise as it is, and over the square of the relevant head's signal."""
    (own, signal), (soft, soft_signal) = here[name], here[SOFTMAX]
    text = (
        f"At strength {strength:g} irrelevant heads add {number(own)} under {words(name)}, {number(own / soft)} "
        f"times softmax's {number(soft)}"
    )
    relative = own / signal**2 / (soft / soft_signal**2) if signal > 0 else math.inf
    less, less_relative = (ratio < 1 - LITTLE for ratio in (own / soft, relative))
    text += (
        f"; over the square of the relevant head's signal ({number(signal)} against {number(soft_signal)}) "
    )
    text += f"{number(relative)} times: "
    if less == less_relative:
        return Finding(text + ("less noise." if less else "NOT less noise."), None if name == BAYES else less)
    return Finding(text + f"less noise {'as it is, but not' if less else 'only'} beside the signal.")
