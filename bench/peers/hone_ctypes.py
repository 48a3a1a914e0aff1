"""hone_ctypes.py owns the binding of hone.h: its structs and functions, and hone as one that takes part."""

import ctypes

import numpy

import masks
import works

OK = 0
FLOAT32 = 1
CAUSAL, WINDOW, KEY_LENGTHS = 1, 2, 32  # flags
BOTTOM_RIGHT = 1


class ConstIntegers(ctypes.Structure):
    """hone_const_integers."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("dtype", ctypes.c_int32),
        ("reserved", ctypes.c_int32),
    ]


class Problem(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("dtype", ctypes.c_int32),
        ("activation", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
        ("alignment", ctypes.c_int32),
        ("batch", ctypes.c_int64),
        ("query_heads", ctypes.c_int64),
        ("kv_heads", ctypes.c_int64),
        ("queries", ctypes.c_int64),
        ("keys", ctypes.c_int64),
        ("key_dim", ctypes.c_int64),
        ("value_dim", ctypes.c_int64),
        ("group_heads", ctypes.c_int64),
        ("scale", ctypes.c_double),
        ("softmax_n", ctypes.c_double),
        ("weight", ctypes.c_double),
        ("threads", ctypes.c_int32),
        ("reserved", ctypes.c_int32),
        ("isa", ctypes.c_char_p),
        # From 0.3.0 on.
        *(
            (name, ctypes.c_int64)
            for name in "diagonal_shift window_left window_right total_queries total_keys".split()
        ),
        *((name, ConstIntegers) for name in "query_lengths key_lengths query_offsets key_offsets".split()),
    ]


class Tensor(ctypes.Structure):
    """hone_tensor and hone_const_tensor."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("batch_stride", ctypes.c_int64),
        ("head_stride", ctypes.c_int64),
        ("row_stride", ctypes.c_int64),
        ("dtype", ctypes.c_int32),
        ("reserved_0", ctypes.c_int32),
        ("reserved", ctypes.c_int64 * 8),
    ]


class ConstScores(ctypes.Structure):
    """hone_const_scores: a mask."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "batch heads queries keys".split()),
        *((name + "_stride", ctypes.c_int64) for name in "batch head query key".split()),
        ("dtype", ctypes.c_int32),
        ("reserved_0", ctypes.c_int32),
        ("reserved", ctypes.c_int64 * 4),
    ]


class ForwardArgs(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        *((name, Tensor) for name in ("q", "k", "v", "o")),
        *((name, ctypes.c_void_p) for name in ("sink", "log_prior", "shift", "lse", "workspace")),
        ("workspace_bytes", ctypes.c_size_t),
        ("mask", ConstScores),  # from 0.3.0 on
    ]


class BackwardArgs(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        *((name, Tensor) for name in ("q", "k", "v", "o", "dout")),
        *((name, ctypes.c_void_p) for name in ("sink", "log_prior", "shift", "lse", "dlse")),
        *((name, Tensor) for name in ("dq", "dk", "dv")),
        *((name, ctypes.c_void_p) for name in ("dsink", "dlog_prior", "dshift", "workspace")),
        ("workspace_bytes", ctypes.c_size_t),
        ("mask", ConstScores),  # from 0.3.0 on
    ]


class ActivationInfo(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        *(
            (name, ctypes.c_int32)
            for name in (
                "normalised joint takes_sink takes_log_prior takes_shift takes_weight takes_softmax_n".split()
            )
        ),
        ("reserved", ctypes.c_int32),
    ]


class Library:
    """libhone.so. Zeros are the defaults of every field."""

    def __init__(self, path):
        self._library = ctypes.CDLL(path)
        for name, args in (("hone_forward", ForwardArgs), ("hone_backward", BackwardArgs)):
            pointers = [ctypes.POINTER(Problem), ctypes.POINTER(args)]
            getattr(self._library, name).argtypes = pointers
            getattr(self._library, name + "_workspace").argtypes = [*pointers, ctypes.POINTER(ctypes.c_size_t)]
        for name in ("hone_last_error", "hone_version", "hone_isa_active"):
            getattr(self._library, name).restype = ctypes.c_char_p
        self.forward = self._checked(self._library.hone_forward)
        self.backward = self._checked(self._library.hone_backward)
        self.forward_workspace = self._checked(self._library.hone_forward_workspace)
        self.backward_workspace = self._checked(self._library.hone_backward_workspace)
        self.version = self._library.hone_version().decode()
        self.isa = self._library.hone_isa_active()
        if self.isa is None:
            raise RuntimeError(self.last_error())
        self.isa = self.isa.decode()
        self.activations = self._list_activations()

    def last_error(self):
        return self._library.hone_last_error().decode()

    def _checked(self, function):
        def call(*arguments):
            if function(*arguments) != OK:
                raise RuntimeError(self.last_error())

        return call

    def _list_activations(self):
        """{name: (value, info)}"""
        found = {}
        for value in range(self._library.hone_activation_count()):
            info = ActivationInfo(size=ctypes.sizeof(ActivationInfo))
            self._checked(self._library.hone_describe_activation)(value, ctypes.byref(info))
            found[info.name.decode()] = (value, info)
        return found


class Hone:
    """hone: every call returns new arrays; the workspace is kept for as long as the work is the same."""

    def __init__(self, path, rows_before_heads=False):
        self.library = Library(path)
        self.axes = (0, 2, 1, 3) if rows_before_heads else (0, 1, 2, 3)

    def versions(self):
        return {"hone": self.library.version, "hone isa": self.library.isa}

    def prepare(self, work, threads):
        """Takes the work's inputs; returns a remark for its row."""
        value, self.info = self.library.activations[work.activation]
        self.work = work
        self.problem = Problem(
            size=ctypes.sizeof(Problem),
            dtype=FLOAT32,
            activation=value,
            flags=CAUSAL if work.causal else 0,
            alignment=BOTTOM_RIGHT,
            threads=threads,
            batch=work.batch,
            query_heads=work.heads,
            kv_heads=work.kv_heads,
            queries=work.queries,
            keys=work.keys,
            key_dim=work.dim,
            value_dim=work.dim,
        )
        self._show(work)
        self.inputs = {}
        for name, x in works.inputs(work).items():
            self.inputs[name] = self._empty(x.shape)
            self.inputs[name][...] = x
        self.forward_args = ForwardArgs(size=ctypes.sizeof(ForwardArgs))
        self.backward_args = BackwardArgs(size=ctypes.sizeof(BackwardArgs))
        for args in (self.forward_args, self.backward_args):
            _point(args, self.inputs)
            if self.mask is not None:
                args.mask = ConstScores(self.mask.ctypes.data, *self.mask.shape, *self.mask.strides)
        return None

    def forward(self):
        """{"o": ..., "lse": ...}, the latter for training with a normalised activation only."""
        outputs = {"o": self._empty(self.inputs["q"].shape)}
        if self.work.training and self.info.normalised:
            heads = 1 if self.info.joint else self.work.heads
            outputs["lse"] = numpy.empty((self.work.batch, heads, self.work.queries), numpy.float32)
        _point(self.forward_args, outputs)
        self._reserve(self.forward_args, self.library.forward_workspace)
        self.library.forward(self.problem, self.forward_args)
        return outputs

    def backward(self, outputs):
        gradients = {"d" + name: self._empty(self.inputs[name].shape) for name in "qkv"}
        _point(self.backward_args, outputs if self.info.normalised else {})
        _point(self.backward_args, gradients)
        self._reserve(self.backward_args, self.library.backward_workspace)
        self.library.backward(self.problem, self.backward_args)
        return gradients

    def _show(self, work):
        """Who sees what besides causality: the window and the lengths go to the problem, the mask is kept."""
        if work.window:
            self.problem.flags |= WINDOW
            self.problem.window_left, self.problem.window_right = masks.window_sides(work)
        if work.lengths:
            self.problem.flags |= KEY_LENGTHS
            self.lengths = masks.key_lengths(work)
            self.problem.key_lengths.data = self.lengths.ctypes.data
        self.mask = masks.mask_of_hone(work)

    def _reserve(self, args, query):
        """Gives the arguments a workspace, unless they have one."""
        if args.workspace is None:
            size = ctypes.c_size_t()
            query(self.problem, args, size)
            args.memory = numpy.empty(size.value, numpy.uint8)
            args.workspace, args.workspace_bytes = args.memory.ctypes.data, size.value

    def _empty(self, shape):
        """[B, H, N, D] as it is seen; in memory as this one's layout has it. Its own inverse, as axes is."""
        in_memory = [shape[axis] for axis in self.axes]
        return works.aligned(in_memory).transpose(self.axes)


def _point(args, arrays):
    """Lets the fields of these names, those that there are, point at the arrays."""
    for name, x in arrays.items():
        if name == "lse":
            args.lse = x.ctypes.data
        elif hasattr(args, name):
            strides = (stride // x.itemsize for stride in x.strides[:3])
            setattr(args, name, Tensor(x.ctypes.data, *strides))
