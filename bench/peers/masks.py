"""masks.py owns who sees what in a work: boolean masks, True where a query sees a key, and the lengths of keys.

A mask is [B, 1, Nq, Nk], or has 1 in the place of an extent where it is the same for all of them.
"""

import pathlib
import sys

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import case_name  # noqa: E402


def window_sides(work):
    return case_name.window_sides(work.window, work.causal)


def key_lengths(work):
    """[B], drawn evenly from 1 to Nk."""
    return numpy.random.default_rng(2).integers(1, work.keys, work.batch, numpy.int64, endpoint=True)


def mask_of_hone(work):
    """What hone takes as a mask; None where it takes none."""
    parts = []
    if work.documents:
        document = [numpy.arange(n) * work.documents // n for n in (work.queries, work.keys)]
        parts.append(document[0][:, None] == document[1])
    if work.hidden:
        drawn = numpy.random.default_rng(3).random((work.queries, work.keys), numpy.float32)
        parts.append(100 * drawn >= work.hidden)
    if work.blind:
        parts.append(numpy.arange(work.queries)[:, None] % work.blind != 0)
    if work.padding:
        parts.append(_padding(work))
    return _joined(parts)


def whole_mask(work):
    """The same with causality, the window and the lengths, for those who have no other way to say these."""
    mask = mask_of_hone(work)
    parts = [] if mask is None else [mask]
    distance = numpy.arange(work.keys) - numpy.arange(work.queries)[:, None] - (work.keys - work.queries)
    if work.causal:
        parts.append(distance <= 0)
    if work.window:
        left, right = window_sides(work)
        parts.append((-left <= distance) & (distance <= right))
    if work.lengths:
        parts.append(_padding(work))
    return _joined(parts)


def _padding(work):
    """[B, 1, 1, Nk]"""
    return numpy.arange(work.keys) < key_lengths(work)[:, None, None, None]


def _joined(parts):
    """A key is seen where all parts show it."""
    if not parts:
        return None
    mask = numpy.ones((1, 1, 1, 1), bool)
    for part in parts:
        mask = mask & part
    return numpy.ascontiguousarray(mask)
