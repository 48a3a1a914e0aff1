"""cases.py owns the list of what the gate times, and the choice among it."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import case_name  # noqa: E402

# `best` stands for the best instruction set of the machine. A call takes 0.2 to 70 ms on two cores of an AMD EPYC
# (Zen 4 or 5). In single_location the heads share dout, as in a training step; in hone-bench each has its own.
NAMES = """
    forward/softmax/f32/avx2/b1/h8/q128/k128/d64/threads:1
    backward/softmax/f32/avx2/b1/h8/q128/k128/d128/threads:1
    forward/softmax/f32/avx2/b1/h4/q1024/k1024/d128/threads:1
    backward/softmax/f32/avx2/b1/h2/q1024/k1024/d64/threads:1
    forward/softmax/f32/avx2/b1/h2/q2048/k2048/d64/threads:1
    backward/softmax/f32/avx2/b1/h1/q2048/k2048/d128/threads:1
    forward/softmax/f32/avx2/b1/h32/kv8/q1/k4096/d128/threads:1
    forward/softmax/f32/avx2/b256/h16/kv1/q1/k32/d1024/single_location/threads:1
    backward/softmax/f32/avx2/b256/h16/kv1/q1/k32/d1024/single_location/threads:1
    backward/softmax/f32/avx2/b1/h4/q1024/k1024/d64/causal/threads:1
    forward/bayes_softmax/f32/avx2/b1/h8/kv2/q1024/k1024/d64/threads:1
    backward/softmax/f32/avx2/b1/h4/q1024/k1024/d64/threads:2

    forward/softmax/f32/best/b1/h8/q128/k128/d128/threads:1
    backward/softmax/f32/best/b1/h8/q128/k128/d64/threads:1
    forward/softmax/f32/best/b1/h4/q1024/k1024/d64/threads:1
    backward/softmax/f32/best/b1/h2/q1024/k1024/d128/threads:1
    forward/softmax/f32/best/b1/h2/q2048/k2048/d128/threads:1
    backward/softmax/f32/best/b1/h1/q2048/k2048/d64/threads:1
    forward/softmax/f32/best/b1/h16/kv1/q1/k4096/d64/threads:1
    forward/bayes_softmax/f32/best/b256/h16/kv1/q1/k32/d1024/single_location/threads:1
    backward/softmax/f32/best/b256/h16/kv1/q1/k32/d1024/single_location/threads:1
    forward/softmax/f32/best/b1/h4/q1024/k1024/d64/causal/threads:1
    backward/sigmoid/f32/best/b1/h8/kv2/q1024/k1024/d64/threads:1
    forward/softmax/f32/best/b1/h8/q1024/k1024/d64/threads:2

    forward/softmax/f32/best/b1/h8/q2048/k2048/d64/causal/window512/threads:1
    backward/softmax/f32/best/b1/h4/q2048/k2048/d64/window512/threads:1
    forward/softmax/f32/best/b1/h8/q2048/k2048/d64/documents4/threads:1
    backward/softmax/f32/best/b1/h2/q2048/k2048/d64/hidden10/threads:1
    forward/softmax/f32/best/b16/h8/q1024/k1024/d64/ragged/threads:1
    forward/softmax/f32/best/b16/h32/kv8/q1/k4096/d128/lengths/threads:1
""".split()


class BadChoice(Exception):
    """Says what is wrong with the name or the regular expression of a case."""


def listed(isas, cores):
    """The cases that a machine with these instruction sets, the best last, and so many cores runs."""
    named = [case_name.parse(name.replace("/best/", f"/{isas[-1]}/")) for name in NAMES]
    return [case for case in dict.fromkeys(named) if case.isa in isas and case.threads <= cores]


def choose(wanted, cases, activations, isas):
    """What is wanted: any case by its whole name, those of the list by a regular expression; nothing: all of it."""
    chosen = []
    for text in wanted:
        try:
            found = [case_name.parse(text)]
            _check(text, found[0], activations, isas)
        except case_name.BadName as fault:
            found = _search(text, cases, fault)
        chosen += found
    return list(dict.fromkeys(chosen)) if wanted else cases


def leave_out(chosen, words):
    """Of the cases those whose words are all known, and a line on the others, or None."""
    unknown = {case: [word for word in case_name.WORDS if getattr(case, word) and word not in words] for case in chosen}
    left = [case for case in chosen if not unknown[case]]
    count = len(chosen) - len(left)
    if not count:
        return left, None
    missing = ", ".join(dict.fromkeys(sum(unknown.values(), [])))
    return left, f"{count} case{'s are' if count > 1 else ' is'} left out: BASE's hone.h does not know {missing}"


def _search(text, cases, fault):
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise BadChoice(f"'{text}' is no case ({fault}) and no regular expression: {error}") from None
    found = [case for case in cases if pattern.search(case.name)]
    if not found:
        raise BadChoice(f"'{text}' is no case: {fault}; and as a regular expression it finds none of the gate's")
    return found


def _check(text, case, activations, isas):
    for word, known, kind in (
        (case.activation, activations, "an activation"),
        (case.isa, isas, "an instruction set that both builds have and this machine runs"),
    ):
        if word not in known:
            raise BadChoice(f"'{text}': '{word}' should be {kind}, one of {', '.join(known)}")
    for word in ("dv", "sink"):
        if getattr(case, word):
            raise BadChoice(f"'{text}': the gate does not time {word}")
    if case.h % case.kv:
        raise BadChoice(f"'{text}': kv{case.kv} should divide h{case.h}")
