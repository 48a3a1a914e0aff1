"""Fails where the shared library does not export exactly the functions of the header.

usage: exports_test.py libhone.so hone.h
"""

import re
import subprocess
import sys


def main():
    library, header = sys.argv[1:]
    text = open(header, encoding="utf-8").read()
    declared = set(re.findall(r"HONE_API\s[^;(]*?\b(hone_\w+)\(", text))
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout
    exported = {line.split()[-1].split("@")[0] for line in listing.splitlines()}
    for name in sorted(declared - exported):
        print(f"{name}: is declared, but not exported")
    for name in sorted(exported - declared):
        print(f"{name}: is exported, but not declared")
    print(f"{len(declared)} functions are declared, {len(exported)} symbols exported")
    sys.exit(declared != exported or not declared)


main()
