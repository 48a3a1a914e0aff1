"""torch_step.py owns PyTorch's training step of the single-location model, as one writes it, with torch.randn(), and
tuned, with the fastest way to make the tokens; the rest is the fastest of what was tried in both.

Tried with PyTorch 2.13 (AVX-512, MKL) for softmax, B 256, H 8, L 20, D 1000, on one thread; milliseconds. A step on
given tokens: queries @ x^T in batches as here 4.9; x [B L, D] @ queries^T 5.1; queries @ [D, B L] 5.6; a prediction
for each head 8.4; the backward by hand, without autograd 5.6; torch.compile of the loss 5.0, after 14 seconds; the
fused attention 19 with the heads as its queries, 185 with the heads as its heads. The tokens: normal_() and
randn(out=) 17, on one core however many threads there are, so that each thread has a generator and a share here;
randn() into new memory 30 and more; torch.compile of randn() 280. A step in chunks of 16 or 64 samples, which stay in
the cache: 23.5, as the whole at once.
"""

from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F

import step_ctypes
import torch_peers
import training


# A_hl of the scores [B, H, L]. These are small, so that it does not matter how they are written.


def softmax(s, sink):
    return s.softmax(-1)


def softmax_1(s, sink):
    """With a sink a head: one more score, whose weight is dropped."""
    sink = sink.view(1, -1, 1).expand(len(s), -1, 1)
    return torch.cat((s, sink), -1).softmax(-1)[..., :-1]


def bayes_softmax(s, bias):
    return s.flatten(1).softmax(-1).view(s.shape)


ATTENTIONS = {"softmax": softmax, "softmax_1+b": softmax_1, "bayes_softmax": bayes_softmax}


class TorchStep:
    """kind: plain, tuned. What it returns is of the first step, which all take on the same tokens."""

    def __init__(self, kind, path):
        self.make_noise = {"plain": self.plain_noise, "tuned": self.tuned_noise}[kind]
        self.library = step_ctypes.Library(path)

    def versions(self):
        return torch_peers.versions()

    def prepare(self, work, threads):
        torch.set_num_threads(threads)
        model = step_ctypes.Model(self.library, work, threads=1)
        self.attention = ATTENTIONS[work.attention]
        self.share = model.call("share")
        self.directions = torch.tensor(model.directions)
        self.nu = torch.tensor(training.SIGNAL[1:])
        self.parameters = [torch.tensor(model.queries).requires_grad_()]
        if work.attention.endswith("+b"):
            self.parameters.append(torch.tensor(model.biases).requires_grad_())
        self.x = torch.tensor(model.x)
        self.shares = [(x, torch.Generator().manual_seed(n)) for n, x in enumerate(self.x.chunk(threads))]
        self.pool = ThreadPoolExecutor(threads)
        self.samples = torch.arange(work.batch)
        self.y = self.x[self.samples, torch.tensor(model.epsilon)]
        loss, gradients = self.gradients()
        self.first = {"loss": loss, **dict(zip(("dq", "dbias"), gradients))}
        return None

    def forward(self):
        self.make_tokens()
        self.update()
        return self.first

    def backward(self, outputs):
        self.update()
        return {"given " + name: x for name, x in self.first.items()}

    def plain_noise(self):
        self.x = torch.randn(self.x.shape)

    def tuned_noise(self):
        list(self.pool.map(lambda share: share[0].normal_(generator=share[1]), self.shares))

    def make_tokens(self):
        batch, tokens, _ = self.x.shape
        self.make_noise()
        epsilon = torch.randint(tokens, (batch,))
        signs = 2 * torch.randint(2, (batch, len(self.nu))) - 1
        theta = F.pad(self.nu * signs, (1, 0), value=training.SIGNAL[0])
        self.y = self.x[self.samples, epsilon] + theta @ self.directions
        self.x[self.samples, epsilon] = self.y

    def gradients(self):
        queries, *bias = self.parameters
        weights = self.attention(queries @ self.x.transpose(1, 2), *bias or [None])
        a = weights.sum(1, keepdim=True) * self.share
        loss = F.mse_loss((a @ self.x).squeeze(1), self.y)
        return loss, torch.autograd.grad(loss, self.parameters)

    def update(self):
        _, gradients = self.gradients()
        with torch.no_grad():
            for parameter, gradient in zip(self.parameters, gradients):
                parameter.sub_(gradient, alpha=training.RATE)
