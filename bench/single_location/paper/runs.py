"""runs.py: what an experiment wrote, from its JSON and its CSV; refused where it is not whole."""

import csv
import io
import json
import math
import shlex

COLUMNS = {
    "dynamics": ("activation", "source", "run", "time", "quantity", "i", "j", "value"),
    "risk": ("activation", "strength", "heads", "start", "risk", "risk_error", "bayes", "bayes_error"),
    "heads": ("activation", "strength", "heads", "start", "risk", "risk_error", "bayes", "bayes_error"),
    "prune": ("activation", "strength", "heads", "start", "kept", "removed", "risk", "risk_error", "bayes"),
    "noise": ("activation", "strength", "heads", "start", "relevant_signal", "irrelevant_noise"),
}
WORDS = ("activation", "source", "quantity")


class Refused(Exception):
    """A sentence that says which file is wrong, and what to do."""


class Run:
    """One experiment: settings, summary, and rows, each a dictionary by the CSV's columns."""

    def __init__(self, name, whole, rows):
        self.name, self.settings, self.summary, self.rows = name, whole["settings"], whole["summary"], rows
        self.hone = whole.get("hone", "")

    @property
    def activations(self):
        return list(dict.fromkeys(self.settings["activations"]))

    def select(self, **wanted):
        return [row for row in self.rows if all(row[key] == value for key, value in wanted.items())]

    def best(self, **wanted):
        """The summaries of the starts with the lowest loss in training."""
        return [
            one for one in self.summary["best"] if all(one[key] == value for key, value in wanted.items())
        ]

    def points(self):
        """How many points P_theta has; None where it is Gaussian."""
        if "mean" in self.settings:
            return None
        if "points" in self.settings:
            return sum(float(point.partition(":")[0]) > 0 for point in self.settings["points"])
        return 2 ** sum(nu != 0 for nu in self.settings["nu"])

    def variances(self):
        """Of theta along each hidden direction."""
        if "mean" in self.settings:
            return self.settings["variance"]
        if "points" not in self.settings:
            return [0.0] + [nu * nu for nu in self.settings["nu"]]
        pairs = [text.split(":") for text in self.settings["points"]]
        weights = [float(weight) for weight, _ in pairs]
        columns = list(zip(*([float(x) for x in point.split(",")] for _, point in pairs)))
        means = [sum(w * x for w, x in zip(weights, column)) / sum(weights) for column in columns]
        return [
            sum(w * (x - mean) ** 2 for w, x in zip(weights, column)) / sum(weights)
            for column, mean in zip(columns, means)
        ]

    def command(self):
        """The command line that gives these files."""
        words = ["hone-single-location", self.name]
        for key, value in self.settings.items():
            option = "--" + key.replace("_", "-")
            if key in ("activations", "points"):
                words += [f"{option[:-1]}={one}" for one in value]
            else:
                words.append(f"{option}={','.join(map(repr, value)) if isinstance(value, list) else value}")
        return shlex.join(words)


def numbers(value):
    """JSON has no NaN: null stands for it."""
    if isinstance(value, dict):
        return {key: numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [numbers(one) for one in value]
    return math.nan if value is None else value


def read_json(path, name):
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(f"{path} is no JSON ({error}): run the experiment {name} again") from error
    if not isinstance(whole, dict) or not {"complete", "experiment", "settings", "summary"} <= whole.keys():
        raise Refused(f"{path} is not what hone-single-location {name} writes")
    if whole["experiment"] != name:
        raise Refused(f"{path} holds the experiment {whole['experiment']}, not {name}")
    if whole["complete"] is not True:
        raise Refused(f"{path} is of a run that was interrupted: go on with it by adding --resume, then draw")
    return numbers(whole)


def read_rows(path, name):
    text = path.read_text(encoding="utf-8")
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in COLUMNS[name] if column not in (reader.fieldnames or ())]
    if missing:
        raise Refused(f"{path} has no column {missing[0]}: it is not what hone-single-location {name} writes")
    cut = Refused(f"{path} is cut off: run the experiment {name} again")
    if not text.endswith("\n"):
        raise cut
    rows = []
    for row in reader:
        if None in row or None in row.values():
            raise cut
        try:
            rows.append({key: cell if key in WORDS else float(cell) for key, cell in row.items()})
        except ValueError as error:
            raise Refused(f"{path}, line {reader.line_num}: {error}") from error
    return rows


def check_whole(path, run):
    """All the jobs that the settings ask for have rows, each as many as its like."""
    s = run.settings
    counts = {}
    if run.name == "dynamics":
        expected = len(run.activations) * (2 + s["sets"] + s["starts"])
        for row in run.rows:
            key = (row["activation"], row["source"], row["run"])
            counts[key] = counts.get(key, 0) + 1
        like = {(key[0], n) for key, n in counts.items() if key[1] != "hessian"}
        even = len(like) == len(run.activations)
    else:
        expected = len(run.activations) * len(s.get("strengths", [1])) * len(set(s["heads"])) * s["starts"]
        for row in run.rows:
            key = (row["activation"], row["strength"], row["heads"], row["start"])
            counts[key] = counts.get(key, 0) + 1
        even = all(n == (key[2] if run.name == "prune" else 1) for key, n in counts.items())
    if len(counts) != expected or not even:
        raise Refused(f"{path} lacks rows that its JSON tells of: run the experiment {run.name} again")


def read(directory, name):
    """The run of that name in the directory; None where there is neither file."""
    paths = {suffix: directory / f"{name}.{suffix}" for suffix in ("json", "csv")}
    there = [suffix for suffix, path in paths.items() if path.is_file()]
    if not there:
        return None
    for suffix, path in paths.items():
        if suffix not in there:
            raise Refused(f"{path} is missing beside its {there[0].upper()}: run the experiment {name} again")
    run = Run(name, read_json(paths["json"], name), read_rows(paths["csv"], name))
    check_whole(paths["csv"], run)
    return run
