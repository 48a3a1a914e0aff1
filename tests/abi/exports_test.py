"""Fails where the shared library does not export exactly the functions of the header, or where the header's
activations are not those of the list.

usage: exports_test.py libhone.so hone.h activations.def
"""

import re
import subprocess
import sys


def main():
    library, header, activations = sys.argv[1:]
    text = open(header, encoding="utf-8").read()
    declared = set(re.findall(r"HONE_API\s[^;(]*?\b(hone_\w+)\(", text))
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout
    symbols = [line.split()[1:] for line in listing.splitlines()]
    exported = {name.split("@")[0] for kind, name in symbols if kind != "A"}  # A: the name of a version
    for name in sorted(declared - exported):
        print(f"{name}: is declared, but not exported")
    for name in sorted(exported - declared):
        print(f"{name}: is exported, but not declared")
    print(f"{len(declared)} functions are declared, {len(exported)} symbols exported")
    enumeration = re.search(r"enum hone_activation \{(.*?)\}", text, re.DOTALL).group(1)
    numbered = [name for name, _ in sorted(re.findall(r"HONE_(\w+) = (\d+)", enumeration), key=lambda e: int(e[1]))]
    listed = re.findall(r"^HONE_ACTIVATION\((\w+),", open(activations, encoding="utf-8").read(), re.MULTILINE)
    if numbered != listed:
        print(f"hone.h numbers {numbered}, activations.def lists {listed}")
    sys.exit(declared != exported or not declared or numbered != listed)


main()
