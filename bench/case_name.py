"""case_name.py owns a case's name in Python, by the grammar in bench/cases.hpp: taken apart, and put together."""

import dataclasses
import re

NUMBER = r"[1-9]\d{0,11}"
PARTS = {  # as a regular expression, and in words
    "direction": (r"(?P<direction>forward|backward)", "forward or backward"),
    "activation": (r"(?P<activation>\w+)", "an activation, as softmax"),
    "dtype": (r"(?P<dtype>f32|f64)", "f32 or f64"),
    "isa": (r"(?P<isa>\w+)", "an instruction set, as avx2"),
    "b": (rf"b(?P<b>{NUMBER})", "the batch, as b1"),
    "h": (rf"h(?P<h>{NUMBER})", "the query heads, as h8"),
    "kv": (rf"kv(?P<kv>{NUMBER})", "the heads of k and v, as kv2"),
    "q": (rf"q(?P<q>{NUMBER})", "the queries, as q1024"),
    "k": (rf"k(?P<k>{NUMBER})", "the keys, as k1024"),
    "d": (rf"d(?P<d>{NUMBER})", "the dimension, as d64"),
    "variant": (r"(?P<variant>causal|single_location)", "causal or single_location"),
    "threads": (rf"threads:(?P<threads>{NUMBER})", "the threads, as threads:1"),
}
OPTIONAL = ("kv", "variant")
NUMBERS = ("b", "h", "kv", "q", "k", "d", "threads")
MEASURED = "/process_time/real_time"  # what Google Benchmark appends

_NAME = re.compile(
    "".join(f"(/{part})?" if key in OPTIONAL else f"/{part}" for key, (part, _) in PARTS.items())[1:],
    re.ASCII,
)


class BadName(ValueError):
    """Says which part of a name is wrong, and what it should be."""


@dataclasses.dataclass(frozen=True)
class Case:
    direction: str
    activation: str
    dtype: str
    isa: str
    b: int
    h: int
    kv: int
    q: int
    k: int
    d: int
    variant: str  # plain, causal, single_location
    threads: int

    @property
    def name(self):
        return f"{self.direction}/{self.activation}/{self.dtype}/{self.isa}/{self._shape}/threads:{self.threads}"

    @property
    def work(self):
        """What is computed, however it is: as peers.json names it."""
        return f"{self.direction}/{self.activation}/{self.dtype}/{self._shape}"

    @property
    def _shape(self):
        kv = f"/kv{self.kv}" if self.kv != self.h else ""
        variant = f"/{self.variant}" if self.variant != "plain" else ""
        return f"b{self.b}/h{self.h}{kv}/q{self.q}/k{self.k}/d{self.d}{variant}"


def parse(text):
    """The case of exactly this name, with or without what Google Benchmark appends; raises BadName."""
    text = text.removesuffix(MEASURED)
    match = _NAME.fullmatch(text)
    if not match:
        raise BadName(_fault(text))
    return _case(match)


def find(text):
    """The case whose name the text begins with, or None."""
    match = _NAME.match(text)
    return _case(match) if match else None


def _case(match):
    parts = {key: int(text) if key in NUMBERS and text else text for key, text in match.groupdict().items()}
    return Case(**parts | {"kv": parts["kv"] or parts["h"], "variant": parts["variant"] or "plain"})


def _fault(text):
    words, choices = text.split("/"), []
    for key, (pattern, meaning) in PARTS.items():
        if words and re.fullmatch(pattern, words[0], re.ASCII):
            words.pop(0)
            choices = []
            continue
        choices.append(meaning)
        if key not in OPTIONAL:
            return f"'{words[0]}' should be {', or '.join(choices)}" if words else f"it lacks {meaning}"
    return f"'{words[0]}' is more than a name has"
