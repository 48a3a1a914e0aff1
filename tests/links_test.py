"""Every relative link in a Markdown document of the tree points to a file or folder that git tracks, and to a
heading that is there. Without git, to a file that is there.

usage: links_test.py source-tree
"""

import os
import pathlib
import subprocess
import sys

from documents import anchors, links

SCHEMES = ("https:", "http:", "mailto:")


def files(source):
    """The tree's files, relative to it."""
    command = ["git", "-C", source, "ls-files", "-z"]
    try:
        listed = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    except OSError:
        listed = ""
    if listed:
        return [pathlib.PurePath(name) for name in listed.split("\0") if name]
    print("git lists no files here: links are looked up among those that are there")
    found = []
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not (pathlib.Path(folder, name) / "meson-private").exists()]
        found += [pathlib.PurePath(folder, name).relative_to(source) for name in names]
    return found


def fault(source, document, target, known):
    """What is wrong with a link, or None."""
    path, _, anchor = target.partition("#")
    place = os.path.normpath(document.parent / path) if path else str(document)
    if place not in known:
        return "is not there"
    if anchor and anchor not in anchors(pathlib.Path(source, place).read_text()):
        return "is no heading"
    return None


def main():
    (source,) = sys.argv[1:]
    listed = files(source)
    known = {str(place) for file in listed for place in (file, *file.parents)}
    checked, faults = 0, []
    for document in (file for file in listed if file.suffix == ".md"):
        for target in links(pathlib.Path(source, document).read_text()):
            if not target.startswith(SCHEMES):
                checked += 1
                if wrong := fault(source, document, target, known):
                    faults.append(f"{document}: {target} {wrong}")
    print(f"{checked} links", *faults, sep="\n")
    sys.exit(bool(faults) or not checked)


main()
