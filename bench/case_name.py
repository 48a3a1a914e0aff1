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
    "dv": (rf"dv(?P<dv>{NUMBER})", "the dimension of v, as dv128"),
    "causal": (r"(?P<causal>causal)", "causal"),
    "window": (rf"window(?P<window>{NUMBER})", "a window, as window512"),
    "documents": (rf"documents(?P<documents>{NUMBER})", "documents, as documents4"),
    "hidden": (rf"hidden(?P<hidden>{NUMBER})", "hidden keys in percent, as hidden10"),
    "lengths": (r"(?P<lengths>lengths)", "lengths"),
    "ragged": (r"(?P<ragged>ragged)", "ragged"),
    "sink": (r"(?P<sink>sink)", "sink"),
    "bnhd": (r"(?P<bnhd>bnhd)", "bnhd"),
    "single_location": (r"(?P<single_location>single_location)", "single_location"),
    "threads": (rf"threads:(?P<threads>{NUMBER})", "the threads, as threads:1"),
}
WORDS = ("causal", "window", "documents", "hidden", "lengths", "ragged", "sink", "bnhd", "single_location")
OPTIONAL = ("kv", "dv", *WORDS)
NUMBERS = ("b", "h", "kv", "q", "k", "d", "dv", "window", "documents", "hidden", "threads")
SHORTEST = 16  # sequence of a ragged batch

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
    threads: int
    dv: int = 0  # 0: as d
    causal: bool = False
    window: int = 0  # keys; numbers are 0 where there is no such word
    documents: int = 0
    hidden: int = 0  # percent
    lengths: bool = False
    ragged: bool = False
    sink: bool = False
    bnhd: bool = False
    single_location: bool = False

    @property
    def words(self):
        """As the name has them."""
        return words_of(self, WORDS)

    @property
    def variant(self):
        """The words in one, and dv: plain, causal, causal/window512, ..."""
        return "/".join([*([f"dv{self.dv}"] if self.dv else []), *self.words]) or "plain"

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
        dv = f"/dv{self.dv}" if self.dv else ""
        return "/".join([f"b{self.b}/h{self.h}{kv}/q{self.q}/k{self.k}/d{self.d}{dv}", *self.words])


def words_of(work, names):
    """Those of the names that the work has a value for, as words of its name."""
    values = {name: getattr(work, name) for name in names}
    return [name if value is True else f"{name}{value}" for name, value in values.items() if value]


def window_sides(window, causal):
    """The keys of a window before the diagonal and after it, as hone.h takes them; -1: no bound."""
    if not window:
        return -1, -1
    left = window - 1 if causal else window // 2
    return left, window - 1 - left


def parse(text):
    """The case of exactly this name; raises BadName."""
    match = _NAME.fullmatch(text)
    if not match:
        raise BadName(_fault(text))
    case = _case(match)
    for wrong, sentence in _senseless(case):
        if wrong:
            raise BadName(sentence)
    return case


def find(text):
    """The case whose name the text begins with, or None."""
    match = _NAME.match(text)
    return _case(match) if match else None


def _case(match):
    parts = match.groupdict()
    for key in NUMBERS:
        parts[key] = int(parts[key] or 0)
    for key in set(WORDS).difference(NUMBERS):
        parts[key] = bool(parts[key])
    dv = 0 if parts["dv"] == parts["d"] else parts["dv"]
    return Case(**parts | {"kv": parts["kv"] or parts["h"], "dv": dv})


def _senseless(case):
    """[(whether it is so, what is wrong with it)] of what the words may not say."""
    rows = min(case.q, case.k)
    return [
        (case.single_location and len(case.words) > 1, "single_location goes with no other word"),
        (case.single_location and case.dv, "single_location has keys that are the values: leave dv out"),
        (case.lengths and case.ragged, "lengths pad a batch and ragged packs it: one of the two"),
        (case.documents and (case.lengths or case.ragged), "documents are of equal length: without lengths and ragged"),
        (case.documents > rows, f"documents{case.documents} want {case.documents} queries and keys, or more"),
        (case.hidden > 99, f"'hidden{case.hidden}' should be 99 percent at most"),
        (case.ragged and case.q != case.k, f"ragged queries have the keys' offsets: k{case.k} should be k{case.q}"),
        (case.ragged and case.bnhd, "ragged tensors are [total, H, D] already: leave bnhd out"),
        (case.ragged and rows < SHORTEST, f"ragged sequences have {SHORTEST} rows at least: q{case.q} is too few"),
    ]


def _fault(text):
    words, choices = text.split("/"), []
    for key, (pattern, meaning) in PARTS.items():
        if words and re.fullmatch(pattern, words[0], re.ASCII):
            words.pop(0)
            choices = []
            continue
        choices.append(meaning)
        if key not in OPTIONAL:
            should = ", or ".join(filter(None, [", ".join(choices[:-1]), meaning]))
            return f"'{words[0]}' should be {should}" if words else f"it lacks {meaning}"
    return f"'{words[0]}' is more than a name has"
