"""step_ctypes.py owns the binding of training_step.hpp: hone's training step, and the traffic."""

import ctypes

import numpy

import training


class Problem(ctypes.Structure):
    _fields_ = [
        ("attention", ctypes.c_char_p),
        *((name, ctypes.c_int64) for name in ("batch", "heads", "tokens", "dim", "features")),
        ("signal", ctypes.POINTER(ctypes.c_double)),
        *((name, ctypes.c_double) for name in ("rate", "initial_size")),
        *((name, ctypes.c_int64) for name in ("threads", "seed")),
    ]


# Of each function what it returns; all but hone_step_new() take the step alone.
RESULTS = {
    "new": ctypes.c_void_p,
    "free": None,
    **dict.fromkeys(("run", "run_given", "traffic", "share"), ctypes.c_double),
    **dict.fromkeys(("make_tokens", "queries", "biases", "directions"), ctypes.POINTER(ctypes.c_float)),
    "epsilon": ctypes.POINTER(ctypes.c_int32),
}


class Library:
    def __init__(self, path):
        library = ctypes.CDLL(path)
        for name in ("hone_version", "hone_isa_active"):
            getattr(library, name).restype = ctypes.c_char_p
        self.versions = {
            "hone": library.hone_version().decode(),
            "hone isa": library.hone_isa_active().decode(),
        }
        self.functions = {name: getattr(library, "hone_step_" + name) for name in RESULTS}
        for name, function in self.functions.items():
            function.restype = RESULTS[name]
            function.argtypes = [ctypes.POINTER(Problem) if name == "new" else ctypes.c_void_p]


class Model:
    """The model of a work at its start, and its memory as arrays."""

    def __init__(self, library, work, threads):
        self._functions = library.functions
        self._step = None
        signal = (ctypes.c_double * len(training.SIGNAL))(*training.SIGNAL)
        problem = Problem(
            attention=work.attention.encode(),
            batch=work.batch,
            heads=work.heads,
            tokens=work.tokens,
            dim=work.dim,
            features=len(signal),
            signal=signal,
            rate=training.RATE,
            initial_size=training.INITIAL_SIZE,
            threads=threads,
            seed=training.SEED,
        )
        self._step = self._functions["new"](problem)
        if not self._step:
            raise RuntimeError(f"the model refuses {work.shape}")
        self.queries = self._array("queries", work.heads, work.dim)
        self.biases = self._array("biases", work.heads)
        self.directions = self._array("directions", len(signal), work.dim)
        self.x = self._array("make_tokens", work.batch, work.tokens, work.dim)
        self.epsilon = self._array("epsilon", work.batch)

    def __del__(self):
        if self._step:
            self._functions["free"](self._step)

    def call(self, name):
        return self._functions[name](self._step)

    def _array(self, name, *shape):
        return numpy.ctypeslib.as_array(self.call(name), shape)


class OfLibrary:
    """What the peers of this library have in common."""

    def __init__(self, path):
        self.library = Library(path)

    def versions(self):
        return self.library.versions

    def prepare(self, work, threads):
        self.model = Model(self.library, work, threads)


class HoneStep(OfLibrary):
    """The model's Trainer. What it returns is of the first step, which all take on the same tokens."""

    def prepare(self, work, threads):
        super().prepare(work, threads)
        self.first = {part: self._first(part) for part in ("run", "run_given")}

    def forward(self):
        self.model.call("run")
        return self.first["run"]

    def backward(self, outputs):
        self.model.call("run_given")
        return {"given " + name: x for name, x in self.first["run_given"].items()}

    def _first(self, part):
        """The loss, and the gradients out of what the step changes; which is then undone."""
        parameters = {"dq": self.model.queries, "dbias": self.model.biases}
        before = {name: x.copy() for name, x in parameters.items()}
        found = {"loss": numpy.array(self.model.call(part))}
        for name, x in parameters.items():
            if not numpy.array_equal(x, before[name]):  # else it is not trained
                found[name] = (before[name] - x) / training.RATE
            x[...] = before[name]
        return found


class Traffic(OfLibrary):
    """What moving the tokens to memory and back costs, by as many threads; it computes nothing."""

    def forward(self):
        self.model.call("traffic")
        return {}

    def backward(self, outputs):
        return self.forward()
