#!/usr/bin/env bash
# run.sh: builds hone and runs its benchmarks or its tests, installing with apt-get what is missing.
set -uo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'END'
./run.sh bench [options]  builds into build/ and runs hone-bench; a table, and build/bench/report.json. Options are
                          hone-bench's (--help): a case by its name, --preset, --implementation, ...
./run.sh report [options] the same for the cases of the report; build/report/index.html, its pictures, report.json
./run.sh peers [options]  times hone beside PyTorch, onnxruntime and OpenBLAS; build/report/peers.json
./run.sh paper [options]  runs the paper's five experiments and draws them; build/paper/index.html, CSV and JSON.
                          At their default sizes they take some six minutes. Options are what all five know:
                          --seed, --tokens, --steps, ...; --resume goes on where an interrupted run stopped
./run.sh compare OLD NEW  what changed from one report.json to another, by Google Benchmark's compare.py
./run.sh gate BASE [CASE] times the working tree beside the git revision BASE and fails where it is slower; CASE:
                          names as hone-bench has them, or regular expressions
./run.sh wrong            breaks the library on purpose, line by line, and expects the quick tests to fail each time
./run.sh test             builds into build/ and runs the tests
./run.sh test --all       also all of what follows
./run.sh sanitize         the tests under ASan + UBSan, and under TSan, in short (HONE_TEST_QUICK=1)
./run.sh clang            builds with clang++ and -Werror
./run.sh neon             cross-builds for 64-bit ARM and runs the tests of the kernels under qemu
END
}

passed=0 failed=0 skipped=0

note() { printf '\n== %ds: %s\n' "$SECONDS" "$*"; }

# need PACKAGE=PROBE...: installs the packages whose probe, a command or a file, is not there.
need() {
    local missing=() pair sudo=()
    for pair; do
        command -v "${pair#*=}" >/dev/null || [ -e "${pair#*=}" ] || missing+=("${pair%%=*}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    [ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
    if command -v apt-get >/dev/null && "${sudo[@]}" true 2>/dev/null; then
        note "installing ${missing[*]}"
        "${sudo[@]}" apt-get update -q &&
            "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" &&
            return
    fi
    echo "Please install these packages (the names are Debian's): ${missing[*]}." >&2
    exit 1
}

need_build_tools() {
    need g++=g++ meson=meson ninja-build=ninja pkg-config=pkg-config python3=python3 cmake=cmake binutils=nm \
        libxsimd-dev=/usr/include/xsimd libgtest-dev=/usr/include/gtest \
        libbenchmark-dev=/usr/include/benchmark libcli11-dev=/usr/include/CLI nlohmann-json3-dev=/usr/include/nlohmann \
        libeigen3-dev=/usr/include/eigen3 libboost-dev=/usr/include/boost
}

# What some tests would be skipped without.
need_test_tools() {
    need_build_tools
    need libopenblas-dev="$(pkg-config --variable=libdir openblas 2>/dev/null)/libopenblas.so"
    need openmpi-bin=mpirun libopenmpi-dev=mpicc python3-matplotlib=/usr/lib/python3/dist-packages/matplotlib
}

# need_python MODULE: sets $python to one that has the module: that on the PATH, else Debian's.
need_python() {
    for python in python3 /usr/bin/python3; do
        "$python" -c "import $1" 2>/dev/null && return
    done
    need "python3-$1=/usr/lib/python3/dist-packages/$1"
}

# The newest clang++ that is installed, else 16; and its sanitizers, OpenMP and symbolizer.
need_clang() {
    local version
    for version in 20 19 18 17 16; do
        command -v "clang++-$version" >/dev/null && break
    done
    llvm=/usr/lib/llvm-$version clang=clang-$version clangxx=clang++-$version
    need "clang-$version=$clangxx" "libclang-rt-$version-dev=$llvm/lib/clang/$version/lib/linux" \
        "libomp-$version-dev=$llvm/lib/libomp.so" "llvm-$version=$llvm/bin/llvm-symbolizer"
}

# setup DIRECTORY OPTION...: a configured build directory, made anew where another Meson's is in the way.
setup() {
    local directory=$1
    shift
    if [ -e "$directory/build.ninja" ] && meson setup --reconfigure "$directory" "$@" >/dev/null 2>&1; then return; fi
    rm -rf "$directory"
    meson setup "$directory" "$@"
}

# build DIRECTORY OPTION...: configures and compiles $targets, or all; where that fails, it counts as a failed test.
build() {
    note "building $1"
    if setup "$@" && ninja -k 0 -C "$1" ${targets-}; then return; fi
    failed=$((failed + 1))
    return 1
}

# run_tests DIRECTORY OPTION...: `meson test`, counted.
run_tests() {
    local directory=$1 count
    shift
    note "testing $directory"
    rm -f "$directory"/*.xml "$directory"/meson-logs/testlog*
    meson test -C "$directory" --no-rebuild --print-errorlogs "$@"
    if count=($(python3 tests/tally.py "$directory")); then
        passed=$((passed + count[0])) failed=$((failed + count[1])) skipped=$((skipped + count[2]))
    else
        failed=$((failed + 1))
    fi
}

# lib, because Meson's default on a Debian without dpkg-dev is lib64, where Debian's CMake does not look.
release() { build build --libdir=lib -Dtests=enabled -Dbench=enabled; }

# Pinned, unless the user says otherwise.
draw_report() {
    local json=build/report/report.json
    need_build_tools
    need_python matplotlib
    release || exit
    mkdir -p build/report
    OMP_PROC_BIND=${OMP_PROC_BIND-true} build/bench/hone-bench --report --benchmark_out=$json "$@" || exit
    "$python" bench/report/report.py $json --peers build/report/peers.json
}

# --resume is the user's to give: unasked, it would refuse other settings than those of the results that are there.
paper() {
    local program=bench/single_location/hone-single-location experiment status
    need_build_tools
    need_python matplotlib
    targets=$program release || exit
    for experiment in dynamics risk heads prune noise; do
        note "$experiment"
        "build/$program" "$experiment" --out build/paper "$@" && continue
        status=$?
        [ $status -eq 130 ] && echo "run.sh paper: the same command with --resume goes on from here" >&2
        exit $status
    done
    "$python" bench/single_location/paper/paper.py build/paper --summary
}

# The virtual environment is outside the tree. It has a copy of the requirements once they are met.
peers() {
    local root=$PWD wanted=bench/peers/requirements.txt venv
    venv=$(cd "$OLDPWD" && realpath -m -- "${HONE_PEERS_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/hone/peers}")
    need_build_tools
    need libopenblas-openmp-dev="$(pkg-config --variable=libdir openblas)" \
        python3-venv="$(python3 -c 'import ensurepip as e; print(e.__file__)' 2>/dev/null)" \
        python3-dev="$(python3 -c 'import sysconfig as s; print(s.get_path("include") + "/Python.h")')"
    if ! "$venv/bin/python" -c '' 2>/dev/null || ! cmp -s $wanted "$venv/requirements.txt"; then
        note "installing PyTorch and onnxruntime into $venv"
        python3 -m venv "$venv" && "$venv/bin/pip" install -q -r $wanted || exit
        "$venv/bin/pip" install -q onnxruntime onnx || echo "run.sh peers: onnxruntime does not install here" >&2
        cp $wanted "$venv/requirements.txt"
    fi
    release || exit
    cd "$OLDPWD" && exec "$venv/bin/python" "$root/bench/peers/peers.py" "$@"
}

# compare OLD NEW: the medians alone, with the p-value of the U test over the slices.
compare() {
    local file files=() options=(-a)
    for file; do
        file=$(cd "$OLDPWD" && realpath -m -- "$file") # as seen from where the user is
        grep -qs '"benchmarks":' "$file" || { echo "run.sh compare: $file is no JSON of hone-bench" >&2 && exit 2; }
        files+=("$file")
    done
    need libbenchmark-tools=/usr/share/benchmark/compare.py
    need_python scipy
    [ -t 1 ] || options+=(--no-color)
    "$python" /usr/share/benchmark/compare.py "${options[@]}" benchmarks "${files[@]}" |
        grep -vE '_(min|spread|median_cv) '
}

# gate_side DIRECTORY SOURCE: builds that tree's library, and the part of the gate that knows its header.
gate_side() {
    build "$1/build" "$2" --buildtype=release -Dtests=disabled -Dbench=disabled &&
        ${CXX:-c++} -std=c++20 -O2 -fPIC -shared "-I$2/lib/include" bench/gate/*.cpp -ldl -o "$1/adapter.so"
}

# gate BASE CASE...: both sides are built alike. A revision's build is kept for as long as the compiler is the same.
gate() {
    local revision base tree=build-gate/tree compiler
    need git=git
    need_build_tools
    revision=$(git rev-parse --verify "$1^{commit}") || { echo "run.sh gate: $1 is no revision" >&2 && exit 2; }
    revision=${revision:0:12}
    base=build-gate/$revision
    compiler="${CXX:-c++} ${CXXFLAGS-} $(${CXX:-c++} --version)"
    if [ "$compiler" != "$(cat build-gate/compiler 2>/dev/null)" ]; then
        rm -rf build-gate && mkdir build-gate && echo "$compiler" >build-gate/compiler || exit
    fi
    if [ ! -e "$base/source" ]; then
        rm -rf "$base" && mkdir -p "$base/part" && git archive "$revision" | tar -x -C "$base/part" &&
            mv "$base/part" "$base/source" || exit
    fi
    gate_side "$base" "$base/source" && gate_side $tree "$PWD" || exit
    python3 bench/gate/gate.py --name "$1 ($revision)" --base "$base/build/lib/libhone.so" "$base/adapter.so" \
        --tree $tree/build/lib/libhone.so $tree/adapter.so -- "${@:2}"
}

sanitize() {
    local baseline=sse2 checked=sse2,avx2 flags
    [ "$(uname -m)" = aarch64 ] && baseline=neon64 checked=neon64
    flags=(-Doptimization=1 -Ddebug=true -Db_ndebug=false -Db_lundef=false -Dtests=enabled -Dbench=disabled)
    need_clang
    export HONE_TEST_QUICK=1
    # Without the AVX-512 unit, which is the same source, the checks of every access that ASan sees too, and all of
    # the debugger's information but line numbers: compilers take minutes for those.
    CC=$clang CXX=$clangxx build build-asan -Db_sanitize=address,undefined "-Disas=$checked" \
        "-Dcpp_args=-gline-tables-only -fno-sanitize=null,alignment,pointer-overflow,object-size" "${flags[@]}" &&
        ASAN_SYMBOLIZER_PATH=$llvm/bin/llvm-symbolizer LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp \
            UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 run_tests build-asan --suite unit -t 4
    # The threads are the same whatever the ISA. Archer tells TSan what OpenMP's barriers order; libomp itself is
    # not instrumented.
    CC=$clang CXX=$clangxx build build-tsan -Db_sanitize=thread -Disas=$baseline -Dcpp_args=-gline-tables-only \
        "${flags[@]}" &&
        OMP_TOOL_LIBRARIES=$llvm/lib/libarcher.so \
            TSAN_OPTIONS="ignore_noninstrumented_modules=1 external_symbolizer_path=$llvm/bin/llvm-symbolizer" \
            run_tests build-tsan --suite unit -t 4
    unset HONE_TEST_QUICK
}

clang() {
    need_clang
    # What clang warns of does not depend on the optimisation.
    CC=$clang CXX=$clangxx build build-clang -Dwerror=true -Doptimization=0 -Dtests=enabled -Dbench=enabled &&
        passed=$((passed + 1))
}

# Each wrong kernel that the tests catch counts as a test that passed.
wrong() {
    local baseline=sse2 log=build-wrong/log caught missed
    [ "$(uname -m)" = aarch64 ] && baseline=neon64
    mkdir -p build-wrong
    targets='tests/search_test tests/kernels_test tests/semantics_test tests/ragged_test' release || return
    note "breaking the library on purpose"
    python3 tests/wrong_kernels/wrong_kernels_test.py "$PWD" --tests build --isa $baseline | tee $log
    caught=$(grep -c ': caught by ' $log) missed=$(grep -c ': MISSED' $log)
    passed=$((passed + caught)) failed=$((failed + missed))
    grep -q ' wrong kernels, ' $log || failed=$((failed + 1))
}

neon() {
    need g++-aarch64-linux-gnu=aarch64-linux-gnu-g++ qemu-user=qemu-aarch64 googletest=/usr/src/googletest
    # xsimd is headers alone: the host's serve, with nothing else of the host in sight.
    mkdir -p build-neon-include && ln -sfn /usr/include/xsimd build-neon-include/xsimd
    local tests='kernels floating_point search semantics ragged' targets
    targets=$(printf 'tests/%s_test ' $tests)
    build build-neon --cross-file tests/cross/aarch64.ini "-Dcpp_args=-isystem $PWD/build-neon-include" \
        -Dtests=enabled -Dbench=disabled &&
        HONE_TEST_QUICK=1 run_tests build-neon $tests -t 4
}

# The last line, and the exit status: failure where a test failed or none ran.
report() {
    printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

case "${1-} ${2-}" in
"bench "*)
    need_build_tools
    release || exit
    OMP_PROC_BIND=${OMP_PROC_BIND-true} exec build/bench/hone-bench --benchmark_out=build/bench/report.json "${@:2}"
    ;;
"report "*) draw_report "${@:2}" ;;
"peers "*) peers "${@:2}" ;;
"paper "*) paper "${@:2}" ;;
"compare "*)
    if [ $# -ne 3 ]; then
        echo "usage: ./run.sh compare OLD.json NEW.json" >&2
        exit 2
    fi
    compare "${@:2}"
    ;;
"gate "*)
    if [ $# -lt 2 ]; then
        echo "usage: ./run.sh gate BASE [CASE...]" >&2
        exit 2
    fi
    gate "${@:2}"
    ;;
"test " | "test --all")
    need_test_tools
    release && run_tests build
    if [ "${2-}" = --all ]; then
        sanitize
        clang
        neon
    fi
    report
    ;;
"sanitize " | "clang " | "neon " | "wrong ")
    need_build_tools
    "$1"
    report
    ;;
*)
    usage
    [ -z "${1-}" ]
    ;;
esac
