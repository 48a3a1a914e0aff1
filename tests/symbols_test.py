"""Fails where an ISA's kernels define a symbol that the linker may merge with another's of the same name.

The linker keeps one copy of a weak symbol, from any object. Were the copy of the AVX-512 kernels kept for the
baseline, an older machine would die of an illegal instruction. The symbols of an ISA may therefore be weak only
under a namespace of its own: xsimd_<isa>.

usage: symbols_test.py libhone_<isa>.a ...
"""

import pathlib
import re
import subprocess
import sys

MERGEABLE = "WwVvu"


def defined_symbols(library):
    listing = subprocess.run(
        ["nm", "-C", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout
    return re.findall(r"^[0-9a-f]+ (\w) (.+)$", listing, re.MULTILINE)


def main():
    found = 0
    for library in sys.argv[1:]:
        isa = re.fullmatch(r"libhone_(\w+)\.a", pathlib.Path(library).name).group(1)
        symbols = defined_symbols(library)
        if not symbols:
            sys.exit(f"{library}: nm shows no symbol at all")
        merged = [name for kind, name in symbols if kind in MERGEABLE and f"xsimd_{isa}::" not in name]
        for name in merged:
            print(f"{isa}: {name}")
        found += len(merged)
        print(f"{isa}: {len(symbols)} symbols, {len(merged)} that could be merged with another ISA's")
    sys.exit(found > 0)


main()
