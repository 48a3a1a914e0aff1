"""Follows the section "Add an activation" of lib/README.md to the letter on a copy of the tree, then asks whether the
tests and the benchmarks have picked the new activation up by themselves.

Of each fenced block in that section whose line before names a file in backquotes: a file that does not exist
is made of it, a list (.def) has it added at its end, any other file has it put above the line MARKER.

usage: add_activation_test.py source-tree ISAs        (ISAs: the units to build; empty: all)
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from documents import blocks, section  # noqa: E402
from tree import copy  # noqa: E402

DOCUMENT = "lib/README.md"
MARKER = "New activations go above this line."


def run(command, **kwargs):
    print("+", " ".join(map(str, command)), flush=True)
    return subprocess.run(command, check=True, text=True, **kwargs)


def follow(tree):
    """Edits the tree as the section says; gives the new activation's name."""
    name = None
    for block in blocks(section((tree / DOCUMENT).read_text(), "Add an activation")):
        named = re.search(r"`([\w./]+\.(?:hpp|h|def))`", block.label)
        if not named:
            continue
        file = tree / named.group(1)
        print(f"{DOCUMENT}: {named.group(1)}", flush=True)
        if not file.exists():
            file.write_text(block.text)
        elif file.suffix == ".def":
            file.write_text(file.read_text() + block.text)
            name = re.search(r"HONE_ACTIVATION\(\w+,\s*(\w+)\)", block.text).group(1)
        else:
            lines = file.read_text().splitlines(keepends=True)
            at = [n for n, line in enumerate(lines) if MARKER in line]
            if len(at) != 1:
                sys.exit(f"{named.group(1)} has no line '{MARKER}'")
            file.write_text("".join([*lines[: at[0]], block.text, *lines[at[0] :]]))
    if name is None:
        sys.exit(f"the section of {DOCUMENT} adds no line to the list of activations")
    return name


def main():
    source, isas = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        tree, build = pathlib.Path(directory, "tree"), pathlib.Path(directory, "build")
        copy(source, tree)
        name = follow(tree)
        run(["meson", "setup", build, tree, f"-Disas={isas}", "-Doptimization=1", "-Dtests=enabled", "-Dbench=enabled"])
        run(["meson", "compile", "-C", build, "kernels_test", "hone-bench"])

        report = build / "report.json"
        run([build / "tests/kernels_test", f"--gtest_filter=*{name}*", f"--gtest_output=json:{report}"])
        ran = json.loads(report.read_text())["tests"]
        benchmarks = run(
            [build / "bench/hone-bench", "--benchmark_list_tests"], stdout=subprocess.PIPE
        ).stdout.splitlines()
        listed = [line for line in benchmarks if line.startswith(f"forward/{name}")]
        print(f"{name}: {ran} kernel tests passed, {len(listed)} forward benchmarks listed")
        sys.exit(ran == 0 or not listed)


main()
