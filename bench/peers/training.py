"""training.py owns the list of the training steps that are compared: a kind of work beside works.py's.

A step of the paper's single-location model (bench/single_location): B fresh samples of L tokens, the heads' one
query each, the loss and its gradient, SGD. It is named

    step/<attention>/f32/b<B>/h<H>/l<L>/d<D>[/given]

where the attention is as hone-single-location takes it, softmax_1+b with a trained sink, and "given" is the same step
on tokens that lie in memory already.
"""

import dataclasses

HONE = "hone, step"
PYTORCH = "pytorch eager, step"
PYTORCH_TUNED = "pytorch tuned, step"
TRAFFIC = "write and read the tokens once"

RATE = 1.0
INITIAL_SIZE = 1.0  # of a query: heads that differ, so that the agreement says something of each
SIGNAL = (1.5, 1.6, 1.3, 1.0)  # theta = (1.5, +-1.6, +-1.3, +-1.0)
SEED = 1


@dataclasses.dataclass(frozen=True)
class TrainingStep:
    """One shape of one attention, timed in two parts: a step, and one on given tokens."""

    attention: str
    heads: int
    tokens: int
    dim: int
    batch: int = 256

    training = True
    directions = ("step", "step on given tokens")
    peers = [(PYTORCH, HONE), (PYTORCH_TUNED, HONE), (TRAFFIC, HONE)]

    def peers_of(self, direction):
        """On given tokens the two of PyTorch are the same, and nothing is written."""
        return self.peers if direction == "step" else self.peers[:1]

    @property
    def shape(self):
        return f"{self.attention}/f32/b{self.batch}/h{self.heads}/l{self.tokens}/d{self.dim}"

    @property
    def names(self):
        return [f"step/{self.shape}", f"step/{self.shape}/given"]

    def target(self, direction, peer):
        """The least ratio that hone aims at, or None. A step is to take twice the time of the traffic at most."""
        if peer == TRAFFIC:
            return 0.5
        return 5.0 if direction == "step" and self.batch >= 256 else None


def all_steps():
    steps = [TrainingStep(name, 8, 20, 1000) for name in ("softmax", "softmax_1+b", "bayes_softmax")]
    return [*steps, TrainingStep("softmax", 16, 32, 1024)]


def quick_steps():
    return [TrainingStep("softmax_1+b", 8, 20, 256, batch=64)]
