"""data.py: hone-bench's JSON as rows, one for each case, with the spread of its slices."""

import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import case_name  # noqa: E402

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


class Row:
    """One case, whose parts are attributes, and what each slice measured."""

    def __init__(self, case):
        vars(self).update(vars(case))
        self.work, self.variant = case.work, case.variant
        self.values, self.place = {}, ""

    def add(self, run):
        self.place = run.get("label", "")  # where the data of a call fits: in L2, in memory
        run = {key: value for key, value in run.items() if isinstance(value, (int, float))} | {
            "seconds": run["real_time"] * SECONDS[run["time_unit"]]
        }
        for key, value in run.items():
            self.values.setdefault(key, []).append(value)

    def __getitem__(self, key):
        """The median over the slices."""
        return statistics.median(self.values[key])

    def range(self, key):
        """The quartiles of the slices."""
        if len(self.values[key]) == 1:
            return self[key], self[key]
        low, _, high = statistics.quantiles(self.values[key], n=4, method="inclusive")
        return low, high

    @property
    def shape(self):
        return self.b, self.h, self.kv, self.q, self.k, self.d, self.variant

    @property
    def kind(self):
        """What one asks of it: short and decoding problems have other bounds than square ones."""
        if self.single_location:
            return "single-location model"
        if self.k == 1:
            return "fixed cost"
        if self.q == 1:
            return "decode" if self.place in ("", "in memory") else "decode from a cache"
        return self.direction


class Report:
    """All rows, the context, and the peers' rows where there are some."""

    def __init__(self, path, peers=None):
        document = json.loads(path.read_text())
        self.context = document["context"]
        rows = {}
        for run in document["benchmarks"]:
            case = case_name.find(run["name"])
            if not case or run.get("run_type", "iteration") != "iteration" or run.get("error_occurred"):
                continue
            rows.setdefault(case.name, Row(case)).add(run)
        self.rows = list(rows.values())
        self.peers = json.loads(peers.read_text()) if peers and peers.exists() else {"rows": []}

    def select(self, **wanted):
        """The rows with these parts; a part may be a set of choices."""
        return [
            row
            for row in self.rows
            if all(
                (
                    getattr(row, key) in value
                    if isinstance(value, (set, frozenset))
                    else getattr(row, key) == value
                )
                for key, value in wanted.items()
            )
        ]

    def one(self, **wanted):
        found = self.select(**wanted)
        return found[0] if found else None

    @property
    def threads(self):
        return sorted({row.threads for row in self.rows})

    @property
    def isas(self):
        return list(dict.fromkeys(row.isa for row in self.rows))

    @property
    def slices(self):
        """The fewest and the most of a case."""
        counts = [len(row.values["seconds"]) for row in self.rows]
        return min(counts), max(counts)

    @property
    def clock(self):
        """Cycles per second: the median of the cases."""
        return statistics.median(row["clock"] for row in self.rows)

    def peak_per_cycle(self, threads, dtype="f32"):
        """Operations per cycle of one core, beside so many threads: the median of the cases; 0 where there is none."""
        beside = [row["peak_flop_per_cycle"] for row in self.select(threads=threads, dtype=dtype)]
        return statistics.median(beside) if beside else 0

    def peak(self, threads, dtype="f32"):
        """The same in operations per second of all cores."""
        return self.peak_per_cycle(threads, dtype) * self.clock * threads

    def bandwidth(self, threads):
        """Bytes per second that can be read from memory: the median of the cases."""
        return statistics.median(row["bandwidth"] / row["bandwidth_share"] for row in self.select(threads=threads))

    def activation_shape(self):
        """The shape that the most activations ran at, in float32; None where there is one activation only."""
        seen = {}
        for row in self.select(dtype="f32", variant="plain"):
            seen.setdefault(row.shape, set()).add(row.activation)
        best = max(seen, key=lambda shape: len(seen[shape]), default=None)
        return best if best and len(seen[best]) > 1 else None

    def activations(self, shape):
        """Names in the order of activations.def, which is that of the rows."""
        return list(dict.fromkeys(row.activation for row in self.rows if row.shape == shape))

    def peer_rows(self, row):
        """The peers that did the same work with as many threads."""
        return [p for p in self.peers["rows"] if p["work"] == row.work and p["threads"] == row.threads]
