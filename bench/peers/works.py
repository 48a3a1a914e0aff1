"""works.py owns the list of what is compared: names, shapes, inputs, which peers take part, and the targets.

A work is named like a case of hone-bench, less the implementation and the threads, which are fields of their own:

    <direction>/<activation>/f32/b<B>/h<Hq>[/kv<Hkv>]/q<Nq>/k<Nk>/d<D>[/<word>...]

where the direction is forward, backward or forward+backward. The words causal, window<W>, documents<n>, hidden<p> and
lengths are hone-bench's (bench/cases.hpp), but what is random is drawn by masks.py. Two are of this list alone, and masks
for hone too:

    blind<n>    of each n queries the first sees nothing
    padding     keys beyond the lengths of `lengths` are hidden by a mask [B, 1, 1, Nk]
"""

import dataclasses
import math
import pathlib
import sys

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import case_name  # noqa: E402

ALIGNMENT = 64  # bytes, as PyTorch's own tensors have
MASKS = ("window", "documents", "hidden", "lengths", "blind", "padding")


@dataclasses.dataclass(frozen=True)
class Work:
    """One shape of one activation. A training one is timed in two parts, forward and backward."""

    activation: str
    queries: int
    keys: int
    dim: int
    heads: int = 8
    kv_heads: int = 8
    batch: int = 1
    causal: bool = False
    window: int = 0  # keys; numbers are 0 where there is no such word
    documents: int = 0
    hidden: int = 0  # percent
    lengths: bool = False
    blind: int = 0
    padding: bool = False
    training: bool = False
    compiled: bool = False  # torch.compile takes part: it takes some seconds for each

    @property
    def shape(self):
        """The name without its direction."""
        kv = f"/kv{self.kv_heads}" if self.kv_heads != self.heads else ""
        extents = f"b{self.batch}/h{self.heads}{kv}/q{self.queries}/k{self.keys}/d{self.dim}"
        words = case_name.words_of(self, ("causal", *MASKS))
        return "/".join([self.activation, "f32", extents, *words])

    @property
    def is_masked(self):
        """By more than causality: for PyTorch that is a mask."""
        return any(getattr(self, word) for word in MASKS)

    @property
    def directions(self):
        return ("backward", "forward+backward") if self.training else ("forward",)

    @property
    def names(self):
        return [f"{direction}/{self.shape}" for direction in self.directions]

    @property
    def peers(self):
        """[(peer, the one of hone's layouts that it is compared with)]"""
        plain = self.activation == "softmax"
        if self.is_masked:  # which is always softmax: the formulas know no masks
            return [("pytorch sdpa", "hone")]
        names = ["pytorch sdpa"] if plain else ["pytorch eager"]
        if self.compiled:
            names.append("pytorch compile")
        if self.activation == "softmax_1":
            names.append("pytorch sdpa, zero key")
        if plain and not self.causal:
            names.append("openblas")
            if self.queries > 256:  # else there is one block
                names.append("openblas, whole scores")
        peers = [(name, "hone") for name in names]
        if plain and not self.training and self.heads == self.kv_heads:
            peers.append(("onnxruntime", "hone, rows before heads"))
        return peers

    def peers_of(self, direction):
        return self.peers

    def target(self, direction, peer):
        """The least ratio that hone aims at, or None."""
        if self.queries < 512 or self.is_masked:
            return None
        if peer == "pytorch eager":
            return 4.0
        if peer != "pytorch sdpa":
            return None
        if direction == "forward":
            return 2.0 if self.causal else 1.5
        return 2.0 if direction == "backward" else None


def inputs(work):
    """q, k, v and the gradient of the output, [B, H, N, D]: the same numbers in whichever process asks."""
    random = numpy.random.default_rng(1)
    rows = {"q": (work.heads, work.queries), "k": (work.kv_heads, work.keys), "v": (work.kv_heads, work.keys)}
    if work.training:
        rows["dout"] = (work.heads, work.queries)
    tensors = {}
    for name, (heads, n) in rows.items():
        tensors[name] = aligned((work.batch, heads, n, work.dim))
        random.standard_normal(dtype=numpy.float32, out=tensors[name])
    return tensors


def aligned(shape):
    """An uninitialised float32 array at a multiple of ALIGNMENT."""
    count = math.prod(shape)
    memory = numpy.empty(4 * count + ALIGNMENT, numpy.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + 4 * count].view(numpy.float32).reshape(shape)


def all_works():
    works = []
    for rows in (512, 1024, 2048, 4096):
        for dim in (64, 128):
            for causal in (False, True):
                for training in (False, True):
                    works.append(Work("softmax", rows, rows, dim, causal=causal, training=training))
    for rows, dim in ((1024, 64), (2048, 64), (1024, 128)):
        for activation in ("softmax_1", "bayes_softmax", "sigmoid", "relu"):
            for training in (False, True):
                compiled = rows == 2048
                works.append(Work(activation, rows, rows, dim, training=training, compiled=compiled))
    for kv_heads in (8, 2, 1):  # decoding
        works.append(Work("softmax", 1, 16384, 128, kv_heads=kv_heads))
    return works + masked_works()


def masked_works():
    """Windows and masks; padding by a mask and by lengths; rows that see nothing, for the agreement."""
    works = []
    for training in (False, True):
        for options in ({"causal": True, "window": 512}, {"window": 512}, {"documents": 4}, {"hidden": 10}):
            works.append(Work("softmax", 2048, 2048, 64, training=training, **options))
        for options in ({"padding": True}, {"lengths": True}):
            works.append(Work("softmax", 512, 512, 64, batch=8, training=training, **options))
    works.append(Work("softmax", 512, 512, 64, hidden=10, blind=16, training=True))
    return works


def quick_works():
    """At least one work for each peer and direction."""
    return [
        Work("softmax", 512, 512, 64),
        Work("softmax", 512, 512, 64, training=True),
        Work("softmax", 512, 512, 64, causal=True),
        Work("softmax", 512, 512, 64, causal=True, training=True),
        Work("softmax_1", 256, 256, 64, training=True, compiled=True),
        Work("bayes_softmax", 256, 256, 64, training=True),
        Work("sigmoid", 256, 256, 64, training=True),
        Work("relu", 256, 256, 64, training=True),
        Work("softmax", 1, 4096, 128, kv_heads=2),
        Work("softmax", 512, 512, 64, causal=True, window=128),
        Work("softmax", 512, 512, 64, window=128, training=True),
        Work("softmax", 512, 512, 64, documents=4, training=True),
        Work("softmax", 256, 256, 64, batch=4, padding=True, training=True),
        Work("softmax", 256, 256, 64, batch=4, lengths=True, training=True),
        Work("softmax", 256, 256, 64, hidden=10, blind=16, training=True),
    ]
