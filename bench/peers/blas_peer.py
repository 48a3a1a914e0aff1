"""blas_peer.py owns the binding of blas_attention.hpp: attention out of OpenBLAS's products, as a peer."""

import ctypes
import os

import numpy

import works


class Problem(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64) for name in "batch heads kv_heads queries keys dim block threads".split()
    ]


class Blas:
    """whole: all scores of a head at once, instead of blocks of queries."""

    def __init__(self, path, whole):
        # OpenBLAS is to choose its kernels for this processor by itself, as the others do.
        for name in [name for name in os.environ if name.startswith("OPENBLAS_")]:
            del os.environ[name]
        self.library = ctypes.CDLL(path)
        for name in ("hone_blas_config", "hone_blas_core"):
            getattr(self.library, name).restype = ctypes.c_char_p
        self.whole = whole

    def versions(self):
        return {
            "openblas": self.library.hone_blas_config().decode(),
            "openblas core": self.library.hone_blas_core().decode(),
        }

    def prepare(self, work, threads):
        rows = work.queries * (work.heads // work.kv_heads)
        self.problem = Problem(
            batch=work.batch,
            heads=work.heads,
            kv_heads=work.kv_heads,
            queries=work.queries,
            keys=work.keys,
            dim=work.dim,
            block=rows if self.whole else 0,
            threads=threads,
        )
        self.inputs = works.inputs(work)
        return None

    def forward(self):
        q = self.inputs["q"]
        outputs = {"o": works.aligned(q.shape), "lse": numpy.empty(q.shape[:3], numpy.float32)}
        self._call(self.library.hone_blas_forward, "q k v o lse", outputs)
        return outputs

    def backward(self, outputs):
        gradients = {"d" + name: works.aligned(self.inputs[name].shape) for name in "qkv"}
        self._call(self.library.hone_blas_backward, "q k v o lse dout dq dk dv", outputs | gradients)
        return gradients

    def _call(self, function, arguments, outputs):
        tensors = self.inputs | outputs
        pointers = (ctypes.c_void_p(tensors[name].ctypes.data) for name in arguments.split())
        function(ctypes.byref(self.problem), *pointers)
