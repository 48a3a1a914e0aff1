"""Breaks the library on purpose, one line at a time, on a copy of the tree, and expects the quick tests to fail
each time: tests that pass on a wrong kernel are worth nothing. Without --tests it only looks whether the lines to
break are there.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import queue
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tree import copy  # noqa: E402

# In the order of how much they find.
PROGRAMS = ("search_test", "kernels_test", "semantics_test", "ragged_test")


@dataclasses.dataclass(frozen=True)
class Wrong:
    name: str
    file: str
    right: str  # stands once in the file
    wrong: str


KERNELS = [
    Wrong(
        "rows of a group have the shift of the first",
        "lib/kernel/weigh.hpp",
        "scale, shift[i]);",
        "scale, shift[0]);",
    ),
    Wrong(
        "a strip begins at the first line of v",
        "lib/kernel/seen.hpp",
        "b.data + lines.begin * b.line",
        "b.data",
    ),
    Wrong(
        "rows of v where they lie are taken as packed",
        "lib/kernel/key_panels.hpp",
        "count(keys), nullptr, v.stride};",
        "count(keys), nullptr};",
    ),
    Wrong(
        "causal rows see one key too few",
        "lib/visibility.hpp",
        "v.beyond = bound(diagonal + 1);",
        "v.beyond = bound(diagonal);",
    ),
    Wrong(
        "causal rows see one key too many",
        "lib/visibility.hpp",
        "v.beyond = bound(diagonal + 1);",
        "v.beyond = bound(diagonal + 2);",
    ),
    Wrong(
        "a window is one too wide on the left",
        "lib/visibility.hpp",
        "bound(p.window_left - diagonal);",
        "bound(p.window_left - diagonal + 1);",
    ),
    Wrong(
        "a window is one too narrow on the right",
        "lib/visibility.hpp",
        "bound(p.window_right + diagonal + 1)",
        "bound(p.window_right + diagonal)",
    ),
    Wrong(
        "the diagonal is not shifted",
        "lib/visibility.hpp",
        "static_cast<__int128>(p.diagonal_shift)",
        "static_cast<__int128>(0)",
    ),
    Wrong(
        "the first query of a block is taken for all of them",
        "lib/visibility.hpp",
        "keys_seen(v, queries.end - 1).end};",
        "keys_seen(v, queries.begin).end};",
    ),
    Wrong(
        "an entry has the segment before its own",
        "lib/entries.cpp",
        "rows.first = integer_at(*offsets, batch);",
        "rows.first = integer_at(*offsets, batch - (batch > 0));",
    ),
    Wrong(
        "an entry has its neighbour's length",
        "lib/entries.cpp",
        "integer_at(*lengths, batch);",
        "integer_at(*lengths, batch - (batch > 0));",
    ),
    Wrong(
        "bottom-right is that of the longest entry",
        "lib/entries.cpp",
        "alone.queries = entry.queries.count, alone.keys = entry.keys.count;",
        "alone.queries = entry.queries.count, alone.keys = entry.keys.count;\n"
        "    if (p.alignment == HONE_BOTTOM_RIGHT) alone.diagonal_shift += p.keys - alone.keys;",
    ),
    Wrong(
        "rows of dq, dk and dv after a length are left",
        "lib/schedule_backward.cpp",
        "gradient.rows + gradient.padding;",
        "gradient.rows;",
    ),
    Wrong(
        "rows of o after a length are left",
        "lib/parts.cpp",
        "part.plan.padding = entry.queries.padding;",
        "",
    ),
    Wrong(
        "L of a ragged batch lies as that of a padded one",
        "lib/parts.cpp",
        "args_of(p_, a_, entry), {}, query_rows(p_), 0, {}",
        "args_of(p_, a_, entry), {}, p_.queries, 0, {}",
    ),
    Wrong(
        "a gradient that entries share lacks the last one",
        "lib/gradient_sum.cpp",
        "if (row < (part.*of.how).rows)",
        "if (row < (part.*of.how).rows && &part != &of.parts.back())",
    ),
    Wrong(
        "a row has the mask's row before its own",
        "lib/boolean_mask.hpp",
        "query * mask.query_stride;",
        "(query - (query > 0)) * mask.query_stride;",
    ),
    Wrong(
        "a head has the mask of the first one",
        "lib/boolean_mask.hpp",
        "head * mask.head_stride +",
        "0 * head +",
    ),
    Wrong(
        "a batch entry has the mask of the first one",
        "lib/entries.cpp",
        "if (mask.batch != 1) move(mask.data, entry.batch * mask.batch_stride, 1);",
        "",
    ),
    Wrong(
        "a mask's bytes are those of one key before",
        "lib/kernel/masked.hpp",
        "shown[e] = row.mask[e];",
        "shown[e] = row.mask[e - (e > seen.begin)];",
    ),
    Wrong(
        "only a byte of 1 is visible",
        "lib/kernel/masked.hpp",
        "shown[e] = row.mask[e];",
        "shown[e] = row.mask[e] == 1;",
    ),
    Wrong(
        "a block that the mask hides in part counts as seen wholly",
        "lib/kernel/masked.hpp",
        "remaining.hides |= summary[chain].hides_some();",
        "remaining.hides = false;",
    ),
    Wrong(
        "the last chain of keys that a mask leaves is dropped",
        "lib/kernel/masked.hpp",
        "keys_of(seen.end - 1).end}, false};",
        "keys_of(seen.end - 1 - (count(seen) > 1)).end}, false};",
    ),
    Wrong(
        "defaults count the keys that a mask hides",
        "lib/kernel/masked.hpp",
        "return reads_mask ? count_shown(call.mask, batch, at, keys) : count(keys);",
        "return count(keys);",
    ),
    Wrong(
        "a NaN behind the mask reaches o",
        "lib/kernel/forward.hpp",
        "if (strip.masked) seen = with_mask(call.mask, seen);",
        "",
    ),
    Wrong(
        "a NaN behind the mask reaches dq, dk and dv",
        "lib/kernel/backward.hpp",
        "!row.masked && !may_hide",
        "!may_hide",
    ),
]


def run(command, **kwargs):
    return subprocess.run(list(map(str, command)), text=True, **kwargs)


def caught_by(tests, library):
    """The first program that fails with the library of a build, or None."""
    environment = os.environ | {"HONE_TEST_QUICK": "1", "LD_LIBRARY_PATH": str(library / "lib")}
    for program in PROGRAMS:
        command = [tests / "tests" / program, "--gtest_fail_fast", "--gtest_brief=1"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if run(command, env=environment, **silent).returncode != 0:
            return program
    return None


class Tree:
    """A copy of the source tree, and the library that is built of it."""

    def __init__(self, source, directory, isa):
        self.source, self.build = directory / "tree", directory / "build"
        copy(source, self.source)
        options = ["-Dtests=disabled", "-Dbench=disabled", "-Doptimization=1", f"-Disas={isa}"]
        run(["meson", "setup", self.build, self.source, *options], check=True, stdout=subprocess.DEVNULL)
        self.compile()

    def compile(self):
        command = ["meson", "compile", "-C", self.build, "hone:shared_library"]
        built = run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if built.returncode != 0:
            raise RuntimeError(built.stdout)

    def catch(self, kernel, tests):
        """Which program catches the wrong kernel."""
        file = self.source / kernel.file
        right = file.read_text()
        file.write_text(right.replace(kernel.right, kernel.wrong))
        self.compile()
        program = caught_by(tests, self.build)
        file.write_text(right)
        print(f"{kernel.name}: {'caught by ' + program if program else 'MISSED'}", flush=True)
        return program


def misplaced(source):
    """The first kernel whose line to break is not there, or there more than once, or None."""
    for kernel in KERNELS:
        if (source / kernel.file).read_text().count(kernel.right) != 1:
            return kernel
    return None


def catch_all(source, tests, isa):
    """Breaks each line; gives how many of the wrong kernels no test catches."""
    with tempfile.TemporaryDirectory() as name:
        workers = max(1, min(len(os.sched_getaffinity(0)), 4))
        trees = queue.SimpleQueue()
        for n in range(workers):
            right = Tree(source, pathlib.Path(name, str(n)), isa)
            trees.put(right)
        if program := caught_by(tests, right.build):
            sys.exit(f"{program} fails on the right library")

        def catch(kernel):
            tree = trees.get()
            try:
                return tree.catch(kernel, tests)
            finally:
                trees.put(tree)

        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return list(pool.map(catch, KERNELS)).count(None)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=pathlib.Path, help="the source tree")
    parser.add_argument("--tests", type=pathlib.Path, metavar="BUILD", help="where the right library and its tests are "
                        "built; the tests run with the wrong libraries, too")  # fmt: skip
    parser.add_argument("--isa", default="sse2", help="the unit that wrong libraries are built with (default: sse2)")
    options = parser.parse_args()
    if kernel := misplaced(options.source):
        sys.exit(f"{kernel.name}: {kernel.file} should have this once: {kernel.right}")
    if options.tests is None:
        print(f"{len(KERNELS)} lines to break")
        return
    missed = catch_all(options.source, options.tests, options.isa)
    print(f"{len(KERNELS)} wrong kernels, {missed} missed")
    sys.exit(missed != 0)


main()
