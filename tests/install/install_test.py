"""Installs the build into an empty prefix, then builds and runs the examples of the documents against it as a
user would: C programs with pkg-config, C++ programs with CMake. Each must print what the next ```text block of
its document says.

usage: install_test.py build prefix libdir DOCUMENT.md...        exit status 77: a tool is missing
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from documents import blocks  # noqa: E402


def run(command, **kwargs):
    print("+", " ".join(map(str, command)), flush=True)
    return subprocess.run(command, check=True, text=True, **kwargs)


class Example(NamedTuple):
    document: str
    language: str
    source: str
    printed: str


def examples(document):
    """All programs that the document shows, in C and C++."""
    found = blocks(pathlib.Path(document).read_text())
    programs = []
    for i, block in enumerate(found):
        if block.language in ("c", "cpp") and "int main(" in block.text:
            following = found[i + 1] if i + 1 < len(found) else None
            if following is None or following.language != "text":
                sys.exit(f"{document}: no ```text block after the ```{block.language} example says what it prints")
            programs.append(Example(document, block.language, block.text, following.text))
    if not programs:
        sys.exit(f"{document}: shows no program")
    return programs


def expect(program, example, env):
    output = run([program], env=env, stdout=subprocess.PIPE).stdout
    if output.strip() != example.printed.strip():
        sys.exit(f"{program.name} printed\n{output}\nand {example.document} says\n{example.printed}")
    print(output, end="")


def c_with_pkg_config(work, shown, root, libdir):
    env = dict(
        os.environ, PKG_CONFIG_LIBDIR=f"{libdir}/pkgconfig", PKG_CONFIG_SYSROOT_DIR=root, LD_LIBRARY_PATH=libdir
    )
    flags = run(["pkg-config", "--cflags", "--libs", "hone"], env=env, stdout=subprocess.PIPE).stdout.split()
    compiler = shlex.split(os.environ["CC"]) + ["-std=c99", "-pedantic", "-Wall", "-Werror"]
    for number, example in enumerate(shown):
        file, program = work / f"example_{number}.c", work / f"c_example_{number}"
        file.write_text(example.source)
        run(compiler + [file, "-o", program] + flags)
        expect(program, example, env)


def cpp_with_cmake(work, shown, installed_prefix):
    for number, example in enumerate(shown):
        file, build = work / f"example_{number}.cpp", work / f"cmake_{number}"
        file.write_text(example.source)
        run(
            ["cmake", "-G", "Ninja", "-S", HERE, "-B", build, f"-DCMAKE_PREFIX_PATH={installed_prefix}"]
            + [f"-DEXAMPLE={file}", "-DCMAKE_CXX_FLAGS=-pedantic -Wall -Werror"]
        )
        run(["cmake", "--build", build])
        expect(build / "consumer", example, os.environ)


def main():
    build, prefix, libdir, *documents = sys.argv[1:]
    shown = [example for document in documents for example in examples(document)]
    in_c, in_cpp = ([e for e in shown if e.language == language] for language in ("c", "cpp"))
    if not in_c or not in_cpp:
        sys.exit("the documents should show programs in C and in C++")
    for tool in ["ninja", "cmake", "pkg-config"]:
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        root = f"{work}/root"
        run(["ninja", "-C", build, "install"], env=dict(os.environ, DESTDIR=root), stdout=subprocess.DEVNULL)
        installed = pathlib.Path(root + prefix)
        for name in ["activations.def", "hone.h", "hone.hpp", "implementation.h"]:
            if not (installed / "include/hone" / name).exists():
                sys.exit(f"not installed: include/hone/{name}")
        c_with_pkg_config(work, in_c, root, str(installed / libdir))
        cpp_with_cmake(work, in_cpp, installed)


main()
