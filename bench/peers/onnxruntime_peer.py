"""onnxruntime_peer.py owns onnxruntime as a peer: a model of one MultiHeadAttention, run on bound memory."""

import onnx
import onnxruntime
from onnx import TensorProto, helper

import works

OPSET = 17
IR_VERSION = 8


def model(work):
    """Its tensors are [B, N, H D]."""
    rows = {"q": work.queries, "k": work.keys, "v": work.keys, "o": work.queries}
    tensors = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [work.batch, n, work.heads * work.dim])
        for name, n in rows.items()
    }
    node = helper.make_node(
        "MultiHeadAttention",
        ["q", "k", "v"],
        ["o"],
        domain="com.microsoft",
        num_heads=work.heads,
        unidirectional=int(work.causal),
    )
    graph = helper.make_graph([node], "attention", [tensors[name] for name in "qkv"], [tensors["o"]])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return made.SerializeToString()


class Onnxruntime:
    """Its output lies in memory that is made once."""

    def versions(self):
        return {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}

    def prepare(self, work, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model(work), options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        self.tensors = {}
        for name, x in works.inputs(work).items():
            b, h, n, d = x.shape
            self.tensors[name] = works.aligned((b, n, h * d))
            self.tensors[name].reshape(b, n, h, d)[...] = x.transpose(0, 2, 1, 3)
            self.binding.bind_ortvalue_input(name, self._value(name))
        self.tensors["o"] = works.aligned(self.tensors["q"].shape)
        self.binding.bind_ortvalue_output("o", self._value("o"))
        self.heads = work.heads
        return None

    def forward(self):
        self.session.run_with_iobinding(self.binding)
        o = self.tensors["o"]
        return {"o": o.reshape(*o.shape[:2], self.heads, -1).transpose(0, 2, 1, 3)}

    def _value(self, name):
        return onnxruntime.OrtValue.ortvalue_from_numpy(self.tensors[name])
