"""Installs the build into an empty prefix, then builds and runs the README's examples against it as a user
would: C programs with pkg-config, C++ programs with CMake. Each must print what the next
```text block of the README says.

usage: install_test.py README.md build prefix libdir        exit status 77: a tool is missing
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from documents import blocks  # noqa: E402


def run(command, **kwargs):
    print("+", " ".join(map(str, command)), flush=True)
    return subprocess.run(command, check=True, text=True, **kwargs)


def examples(readme, language):
    """[(a program of that language, what it prints)], of all programs that the README shows."""
    found = blocks(pathlib.Path(readme).read_text())
    programs = []
    for i, block in enumerate(found):
        if block.language == language and "int main(" in block.text:
            printed = [later.text for later in found[i + 1 :] if later.language == "text"]
            if not printed:
                sys.exit(f"{readme}: no ```text block after the ```{language} example says what it prints")
            programs.append((block.text, printed[0]))
    if not programs:
        sys.exit(f"{readme}: no ```{language} block")
    return programs


def expect(program, printed, env):
    output = run([program], env=env, stdout=subprocess.PIPE).stdout
    if output.strip() != printed.strip():
        sys.exit(f"{program.name} printed\n{output}\nand the README says\n{printed}")
    print(output, end="")


def c_with_pkg_config(work, readme, root, libdir):
    env = dict(
        os.environ, PKG_CONFIG_LIBDIR=f"{libdir}/pkgconfig", PKG_CONFIG_SYSROOT_DIR=root, LD_LIBRARY_PATH=libdir
    )
    flags = run(["pkg-config", "--cflags", "--libs", "hone"], env=env, stdout=subprocess.PIPE).stdout.split()
    compiler = shlex.split(os.environ["CC"]) + ["-std=c99", "-pedantic", "-Wall", "-Werror"]
    for source, printed in examples(readme, "c"):
        (work / "example.c").write_text(source)
        run(compiler + [work / "example.c", "-o", work / "c_example"] + flags)
        expect(work / "c_example", printed, env)


def cpp_with_cmake(work, readme, installed_prefix):
    for number, (source, printed) in enumerate(examples(readme, "cpp")):
        file, build = work / f"example_{number}.cpp", work / f"cmake_{number}"
        file.write_text(source)
        run(
            ["cmake", "-G", "Ninja", "-S", HERE, "-B", build, f"-DCMAKE_PREFIX_PATH={installed_prefix}"]
            + [f"-DEXAMPLE={file}", "-DCMAKE_CXX_FLAGS=-pedantic -Wall -Werror"]
        )
        run(["cmake", "--build", build])
        expect(build / "consumer", printed, os.environ)


def main():
    readme, build, prefix, libdir = sys.argv[1:]
    for tool in ["ninja", "cmake", "pkg-config"]:
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        root = f"{work}/root"
        run(["ninja", "-C", build, "install"], env=dict(os.environ, DESTDIR=root), stdout=subprocess.DEVNULL)
        installed = pathlib.Path(root + prefix)
        for path in ["include/hone/hone.h", "include/hone/hone.hpp", "include/hone/activations.def"]:
            if not (installed / path).exists():
                sys.exit(f"not installed: {path}")
        c_with_pkg_config(work, readme, root, str(installed / libdir))
        cpp_with_cmake(work, readme, installed)


main()
