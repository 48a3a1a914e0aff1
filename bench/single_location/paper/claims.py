"""claims.py: what the paper claims of each experiment, in our words, and what a finding is."""

import dataclasses

MODEL = (
    "A sequence has L tokens of standard normal noise in D dimensions. One of them, at a place that is not told, "
    "also carries a signal: hidden directions k, with amplitudes θ that are drawn anew for each sequence. H "
    "attention heads, each with one learned query, are to predict that token; keys and values are the tokens "
    "themselves. The loss is the squared distance over D; where D is large it depends on the queries' overlaps "
    "with the hidden directions and with each other alone, and no predictor does better than the Bayes risk."
)
SOURCE = (
    "The model is that of Sagitova, Duranthon and Zdeborová, “Specialization of softmax attention heads: "
    "insights from the high-dimensional single-location model” (arXiv 2603.03993). The formulas were derived from "
    "its abstract and from readers' notes, not copied from the paper: these experiments look for its findings, "
    "with settings that are not its own."
)

# Of each experiment: a title, and the claim.
CLAIMS = {
    "dynamics": (
        "Two phases, then one direction after another",
        "From small queries all heads first move together along the mean signal, the unspecialised phase. "
        "Then they part, one hidden direction after another, from the largest variance of θ to the smallest, "
        "as the Hessian where all heads are equal says: the larger the variance, the more unstable the "
        "direction. Heads on the wrong side change sides on the way, so that the split ends even. SGD in many "
        "dimensions follows the closed equations of the limit.",
    ),
    "risk": (
        "Softmax keeps a floor, Bayes-softmax reaches the Bayes risk",
        "Softmax keeps an error however strong the signal is, because each head must spend its weight somewhere. "
        "Softmax-1 lets irrelevant heads spend less. Bayes-softmax, which is normalised over heads and tokens "
        "together, reaches the Bayes risk.",
    ),
    "heads": (
        "As many heads as the signal has points",
        "Heads specialise on the points between which θ is drawn: once there is one for each point, more help "
        "no more. What a surplus head costs depends on the activation: whether it can fall silent.",
    ),
    "prune": (
        "Redundant heads can be pruned",
        "With more heads than θ has points, the surplus can be taken away at little cost under softmax-1 and "
        "Bayes-softmax.",
    ),
    "noise": (
        "The noise of irrelevant heads",
        "Of softmax-1 the paper's first version says that it significantly reduces the noise from irrelevant "
        "heads; the abstract of its second version leaves that sentence out. So both ways to combine heads "
        "are worth a look, and a sink that is trained.",
    ),
}

CLOSE = 3  # standard errors, within which two figures are the same


@dataclasses.dataclass
class Finding:
    """A sentence about what was measured; whether it agrees with the claim, None where it only informs."""

    text: str
    agrees: bool | None = None

    @property
    def mark(self):
        return {True: "agrees", False: "disagrees", None: "told"}[self.agrees]


def listed(words):
    """a, b and c"""
    words = list(map(str, words))
    return "".join(words) if len(words) < 2 else ", ".join(words[:-1]) + " and " + words[-1]
