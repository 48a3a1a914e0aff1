"""turns.py owns how a case is timed: its sides in turn, on the same memory; and how their results are compared."""

import contextlib
import ctypes
import math
import statistics

import sides

TURN = 0.02  # seconds of each side
SLICE = 0.001  # seconds of calls before another side follows, or one call where that is longer


def take_turns(runs, turns, seconds):
    """[[seconds of a call of each side] of each turn], medians over the slices of a turn. run(n) gives the seconds
    of n calls; `seconds` is what one takes. Sides alternate from slice to slice, each turn in the reverse order."""
    calls = max(1, round(SLICE / seconds))
    slices = max(1, round(TURN / (calls * seconds)))
    order = list(range(len(runs)))
    rows = []
    for _ in range(turns):
        times = [[] for _ in runs]
        for _ in range(slices):
            for side in order:
                times[side].append(runs[side](calls) / calls)
        rows.append([statistics.median(slice_times) for slice_times in times])
        order.reverse()
    return rows


class Timed:
    """A case that is ready: its tensors filled, each side's call open, all with one workspace."""

    def __init__(self, case, opened):
        """opened: the sides, the first of which gives backward its o and lse."""
        with contextlib.ExitStack() as stack:
            self.tensors = sides.Tensors(case, opened[0])
            self.tensors.fill()
            self.adapter = opened[0].adapter
            self.calls = []
            for side in opened:
                self.calls.append(side.open(self.tensors.as_gate_case(case.direction)))
                stack.callback(self.calls[-1].close)
            self.workspace = sides.Memory(max(call.workspace_bytes for call in self.calls))
            self.close = stack.pop_all().close

    def difference(self):
        """How far the last side's results are from the first one's: the worst of the outputs; NaN where one has
        no difference."""
        kept = [self._results(call) for call in (self.calls[0], self.calls[-1])]
        differences = [
            self.adapter.gate_difference(tensor.dtype, first, last, tensor.count)
            for tensor, first, last in zip(self.tensors.outputs(), *kept)
        ]
        return math.nan if any(map(math.isnan, differences)) else max(differences)

    def turns(self, count):
        runs = [lambda n, call=call: call.run(self.workspace, n) for call in self.calls]
        seconds = min(run(1) for run in runs for _ in range(3))
        return take_turns(runs, count, seconds)

    def _results(self, call):
        """Copies of what a first call writes."""
        for tensor in self.tensors.outputs():
            tensor.spoil()
        call.run(self.workspace)
        return [ctypes.string_at(t.memory.address, t.memory.size) for t in self.tensors.outputs()]
