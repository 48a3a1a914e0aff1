"""torch_peers.py owns PyTorch as a peer: its fused attention, the formulas in eager mode, and those compiled."""

import math
import os
import sys

# What torch.compile makes is kept beside PyTorch, in the virtual environment.
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(sys.prefix, "inductor"))

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend

import masks
import works


def scores(q, k):
    return (q / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)


# The formulas: of the ways to write each, all exact, the fastest in eager mode at N = 1024, D = 64. What can be
# done to o, which is small, is not done to p.


def softmax_1(q, k, v):
    s = scores(q, k)
    m = s.amax(-1, keepdim=True).clamp(min=0).detach()  # p does not depend on it
    e = torch.exp(s - m)
    return (e @ v) / (e.sum(-1, keepdim=True) + torch.exp(-m))


def bayes_softmax(q, k, v):
    s = scores(q, k).transpose(1, 2)  # [B, Nq, H, Nk]
    p = s.flatten(2).softmax(-1).view(s.shape)
    return p.transpose(1, 2) @ v


def sigmoid(q, k, v):
    return torch.sigmoid(scores(q, k) - math.log(k.shape[-2])) @ v


def relu(q, k, v):
    return (torch.relu(scores(q, k)) @ v) / k.shape[-2]


FORMULAS = {"softmax_1": softmax_1, "bayes_softmax": bayes_softmax, "sigmoid": sigmoid, "relu": relu}


def zero_key(q, k, v):
    """softmax-1 by the softmax kernel: one more key, of score 0 and value 0."""
    k, v = (F.pad(x, (0, 0, 0, 1)) for x in (k, v))
    return F.scaled_dot_product_attention(q, k, v)


def visible(work):
    """Who sees what, as the fused attention takes it. Windows and lengths are masks here. In PyTorch 2.13 the output
    of a row that sees nothing is 0, and so are its gradients, as hone's are, with the fused kernel and without it."""
    if work.is_masked:
        return {"attn_mask": torch.from_numpy(masks.whole_mask(work))}
    return {"is_causal": work.causal}


def versions():
    mkl = torch.__config__.show().partition("Math Kernel Library Version ")[2].partition(" ")[0]
    return {
        "torch": torch.__version__,
        "torch cpu capability": torch.backends.cpu.get_cpu_capability(),
        "torch mkl": mkl,
    }


class Torch:
    """kind: sdpa, eager, compile, zero key."""

    def __init__(self, kind):
        self.kind = kind

    def versions(self):
        return versions()

    def prepare(self, work, threads):
        torch.set_num_threads(threads)
        tensors = {name: torch.from_numpy(x) for name, x in works.inputs(work).items()}
        self.dout = tensors.pop("dout", None)
        self.qkv = [tensors[name].requires_grad_(work.training) for name in "qkv"]
        torch.set_grad_enabled(work.training)
        if self.kind == "sdpa":
            options = visible(work) | {"enable_gqa": work.heads != work.kv_heads}
            self.function = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)
            return SDPBackend(torch._fused_sdp_choice(*self.qkv, **options)).name.lower()
        if self.kind == "zero key":
            self.function = zero_key
            return None
        self.function = FORMULAS[work.activation]
        if self.kind == "compile":
            torch.compiler.reset()
            self.function = torch.compile(self.function, dynamic=False)
        return None

    def forward(self):
        return {"o": self.function(*self.qkv)}

    def backward(self, outputs):
        return dict(zip(("dq", "dk", "dv"), torch.autograd.grad(outputs["o"], self.qkv, self.dout)))
