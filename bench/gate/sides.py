"""sides.py owns the binding of adapter.h and data.h: the libraries that are compared, and a case's tensors."""

import ctypes
import math
import mmap
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import case_name  # noqa: E402

OUTPUTS = {"forward": ("o",), "backward": ("dq", "dk", "dv")}
BYTES = {"f32": 4, "f64": 8}


class SideError(Exception):
    """A side cannot do what it was asked for."""


class View(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "batch_stride head_stride row_stride".split()),
    ]


class GateCase(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_char_p) for name in "direction activation dtype isa".split()),
        *((name, ctypes.c_int64) for name in "batch query_heads kv_heads queries keys dim threads".split()),
        *((name, ctypes.c_int64) for name in "causal window_left window_right".split()),
        *((name, ctypes.c_void_p) for name in "mask key_lengths offsets".split()),
        *((name, View) for name in "q k v o dout dq dk dv".split()),
        ("lse", ctypes.c_void_p),
    ]


class Side:
    """A libhone by the adapter that was compiled against its header."""

    def __init__(self, libhone, adapter):
        self._path = str(libhone).encode()
        self.adapter = adapter = ctypes.CDLL(str(adapter))
        adapter.gate_open.argtypes = [ctypes.c_char_p, ctypes.POINTER(GateCase)]
        adapter.gate_open.restype = ctypes.c_void_p
        adapter.gate_close.argtypes = adapter.gate_workspace.argtypes = [ctypes.c_void_p]
        adapter.gate_close.restype = None
        adapter.gate_workspace.restype = ctypes.c_size_t
        adapter.gate_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        adapter.gate_run.restype = ctypes.c_double
        for name in ("gate_activations", "gate_isas"):
            getattr(adapter, name).argtypes = [ctypes.c_char_p]
            getattr(adapter, name).restype = ctypes.c_char_p
        adapter.gate_words.restype = adapter.gate_last_error.restype = ctypes.c_char_p
        adapter.gate_fill.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64]
        adapter.gate_fill.restype = None
        adapter.gate_lengths.argtypes = adapter.gate_offsets.argtypes = [*[ctypes.c_int64] * 2, ctypes.c_void_p]
        adapter.gate_mask.argtypes = [*[ctypes.c_int64] * 4, ctypes.c_void_p]
        for name in ("gate_lengths", "gate_offsets", "gate_mask"):
            getattr(adapter, name).restype = None
        adapter.gate_difference.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        adapter.gate_difference.restype = ctypes.c_double
        self.activations = self._words(adapter.gate_activations)
        self.isas = self._words(adapter.gate_isas)
        # Where tensors lie is in their strides, which every version has.
        self.words = [*adapter.gate_words().decode().split(), "bnhd"]

    def open(self, gate_case):
        return Call(self.adapter, self.adapter.gate_open(self._path, gate_case))

    def _words(self, function):
        words = function(self._path)
        if words is None:
            raise SideError(self.adapter.gate_last_error().decode())
        return words.decode().split()


class Call:
    """One side's call of a case. The workspace is lent by whoever runs it, so that all sides have the same."""

    def __init__(self, adapter, handle):
        self._adapter, self._handle = adapter, handle
        self._check(handle)
        self.workspace_bytes = adapter.gate_workspace(handle)

    def run(self, workspace, times=1):
        """The seconds that so many calls take."""
        seconds = self._adapter.gate_run(self._handle, workspace.address, times)
        self._check(seconds >= 0)
        return seconds

    def close(self):
        self._adapter.gate_close(self._handle)

    def _check(self, good):
        if not good:
            raise SideError(self._adapter.gate_last_error().decode())


class Memory:
    """Pages of its own, which go with the object."""

    def __init__(self, size):
        try:
            self._pages = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except (OSError, OverflowError):
            raise SideError(f"there are no {size} bytes of memory for it") from None
        self.size = size
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._pages))


class Tensor:
    """Row-major [batch, heads, rows, dim] or, bnhd, [batch, rows, heads, dim]; one entry where an axis is shared."""

    def __init__(self, dtype, shape, shared=(), bnhd=False):
        axes = ("batch", "heads", "rows")
        *extents, dim = (1 if axis in shared else n for axis, n in zip([*axes, "dim"], shape))
        self.dtype, self.count = dtype.encode(), math.prod(extents) * dim
        self.memory = Memory(self.count * BYTES[dtype])
        _, heads, rows = extents
        strides = (heads * rows * dim, *((dim, heads * dim) if bnhd else (rows * dim, dim)))
        self.view = View(self.memory.address, *(0 if axis in shared else n for axis, n in zip(axes, strides)))

    def spoil(self):
        """All NaN, so that what is never written is no result."""
        ctypes.memset(self.memory.address, 0xFF, self.memory.size)


class Visible:
    """What the words of a case need in memory to say who sees what; an address is None where there is no such word."""

    def __init__(self, case, adapter):
        self._kept = []
        self.mask = self.key_lengths = self.offsets = None
        if case.lengths:
            self.key_lengths = self._draw(8 * case.b, adapter.gate_lengths, case.b, case.k)
        if case.ragged:
            self.offsets = self._draw(8 * (case.b + 1), adapter.gate_offsets, case.b, case.q)
        if case.documents or case.hidden:
            words = case.q, case.k, case.documents, case.hidden
            self.mask = self._draw(case.q * case.k, adapter.gate_mask, *words)
        self.total = ctypes.c_int64.from_address(self.offsets + 8 * case.b).value if case.ragged else None

    def _draw(self, size, function, *arguments):
        memory = Memory(size)
        self._kept.append(memory)
        function(*arguments, memory.address)
        return memory.address


class Tensors:
    """What a case reads and writes, the same for every side. The one that is given draws it."""

    def __init__(self, case, side):
        self.case, self.side = case, side
        self.visible = Visible(case, side.adapter)
        shapes = self._shapes(case, self.visible.total)
        self.all = {name: Tensor(case.dtype, *shape, bnhd=case.bnhd or case.ragged) for name, shape in shapes.items()}
        self.lse = Memory(case.h * (self.visible.total or case.b * case.q) * BYTES[case.dtype])

    @staticmethod
    def _shapes(case, total):
        """{name: (shape, the axes that are shared)}; total: the rows of a ragged batch."""
        one_query = case.single_location
        batch, heads = (("batch",), ("heads",)) if one_query else ((), ())
        queries, keys = (case.b, case.h, case.q, case.d), (case.b, case.kv, case.k, case.d)
        if case.ragged:
            queries, keys = (1, case.h, total, case.d), (1, case.kv, total, case.d)
        shapes = {"q": (queries, batch), "k": (keys, ())}
        if not one_query:  # else v is k
            shapes["v"] = (keys, ())
        shapes["o"] = (queries, ())
        if case.direction == "backward":
            shapes |= {"dout": (queries, heads), "dq": (queries, batch)}
            if not one_query:
                shapes |= {"dk": (keys, ()), "dv": (keys, ())}
        return shapes

    def fill(self):
        """Draws the inputs; o and lse are what a forward call gives."""
        for seed, name in enumerate(("q", "k", "v", "dout"), 1):
            if name in self.all:
                tensor = self.all[name]
                self.side.adapter.gate_fill(tensor.dtype, tensor.memory.address, tensor.count, seed)
        if self.case.direction == "backward":
            call = self.side.open(self.as_gate_case("forward"))
            call.run(Memory(call.workspace_bytes))
            call.close()

    def as_gate_case(self, direction):
        """Of the case's own direction, or of the forward call that comes before backward."""
        case = self.case
        views = {name: tensor.view for name, tensor in self.all.items()}
        left, right = case_name.window_sides(case.window, case.causal)
        return GateCase(
            direction=direction.encode(),
            activation=case.activation.encode(),
            dtype=case.dtype.encode(),
            isa=case.isa.encode(),
            batch=case.b,
            query_heads=case.h,
            kv_heads=case.kv,
            queries=case.q,
            keys=case.k,
            dim=case.d,
            threads=case.threads,
            causal=case.causal,
            window_left=left,
            window_right=right,
            mask=self.visible.mask,
            key_lengths=self.visible.key_lengths,
            offsets=self.visible.offsets,
            lse=self.lse.address if case.direction == "backward" else None,
            **{"v": views["k"]} | views,
        )

    def outputs(self):
        return [self.all[name] for name in OUTPUTS[self.case.direction] if name in self.all]
