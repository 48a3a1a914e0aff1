"""tree.py owns copies of the source tree, for tests that change it."""

import pathlib
import shutil


def copy(source, tree):
    """The tree without its build directories and its history."""

    def left_out(directory, names):
        return [n for n in names if n == ".git" or (pathlib.Path(directory, n) / "meson-private").exists()]

    shutil.copytree(source, tree, ignore=left_out)
