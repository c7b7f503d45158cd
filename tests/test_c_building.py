"""The C interface is built with: the header by C and C++ compilers, examples by cc, CMake, Rust and cffi."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy

import c_library as c
import fastrenyi as fr
import reference

EXAMPLES = Path(__file__).parents[1] / "examples" / "c"
LIBRARY = Path(fr.get_library())
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{fr.get_include()}"]
LINKED = [f"-L{LIBRARY.parent}", "-lfastrenyi", f"-Wl,-rpath,{LIBRARY.parent}", "-lm"]

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the tests lie outside of a source tree")


def tool(*names: str) -> str:
    """The first program of these that is there."""
    for name in names:
        if found := shutil.which(name, path=os.pathsep.join([os.environ["PATH"], str(Path.home() / ".cargo" / "bin")])):
            return found
    pytest.skip(f"there is no {' and no '.join(names)} here")


def run(*words: str | Path, **environment: str) -> str:
    """What a program prints; warnings, on stderr, are none."""
    ran = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert ran.returncode == 0, f"{words}: {ran.stdout}{ran.stderr}"
    assert ran.stderr == ""
    return ran.stdout


def compiled(source: Path, folder: Path, *flags: str) -> Path:
    program = folder / source.stem
    run(tool("cc", "gcc", "clang"), "-std=c99", *STRICT, *flags, source, "-o", program, *LINKED)
    return program


def expected() -> str:
    """What the examples print."""
    i = np.arange(50)
    x, y = (reference.gram_gaussian(samples[:, None], 0.5) for samples in (np.sin(i), np.cos(3 * i)))
    lines = []
    for alpha in (1.01, 2.0):
        of_x, of_y, both = (reference.joint_entropy(*grams, alpha=alpha) for grams in ([x], [y], [x, y]))
        lines.append(
            f"order {alpha:.2f}: S(x) = {of_x:.6f}, S(y) = {of_y:.6f}, S(x, y) = {both:.6f}, "
            f"I(x; y) = {of_x + of_y - both:.6f} bits\n"
        )
    return "".join(lines)


# ----------------------------------------------------------------------------------------------------- examples


def test_the_example_in_c(tmp_path: Path) -> None:
    assert run(compiled(EXAMPLES / "entropy.c", tmp_path)) == expected()


def test_the_examples_by_cmake(tmp_path: Path) -> None:
    """From a package that has been moved: nothing in it says where it was."""
    cmake = tool("cmake")
    moved = shutil.copytree(LIBRARY.parents[1], tmp_path / "else" / "fastrenyi", ignore=shutil.ignore_patterns("*.py"))
    for name in ("-Dfastrenyi_DIR=" + str(moved / "cmake"), "-DCMAKE_PREFIX_PATH=" + str(moved / "cmake")):
        build = tmp_path / name[2:13]
        run(cmake, "-S", EXAMPLES, "-B", build, name)
        run(cmake, "--build", build)
        assert run(build / "entropy") == expected()
    if tools := shutil.which("ldd"):
        assert str(moved / "lib" / LIBRARY.name) in run(tools, build / "entropy")


def test_another_version_is_not_found_by_cmake(tmp_path: Path) -> None:
    listed = "cmake_minimum_required(VERSION 3.18)\nproject(p NONE)\nfind_package(fastrenyi 99.0 CONFIG)\n"
    (tmp_path / "CMakeLists.txt").write_text(listed + 'message("found: ${fastrenyi_FOUND}")\n')
    words = [tool("cmake"), "-S", tmp_path, "-B", tmp_path / "build", f"-Dfastrenyi_DIR={fr.get_cmake_dir()}"]
    ran = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=100, check=True)
    assert "found: 0" in ran.stderr


def test_the_example_in_rust(tmp_path: Path) -> None:
    flags = ["-L", LIBRARY.parent, "-C", f"link-arg=-Wl,-rpath,{LIBRARY.parent}", "--out-dir", tmp_path]
    run(tool("rustc"), "--edition", "2021", *flags, EXAMPLES / "entropy.rs")
    assert run(tmp_path / "entropy") == expected()


def test_the_example_by_cffi() -> None:
    pytest.importorskip("cffi")
    assert run(sys.executable, "-W", "error", EXAMPLES / "entropy_cffi.py") == expected()


def test_the_overhead(tmp_path: Path) -> None:
    """A program that says what a call takes; here only that it runs."""
    output = run(compiled(EXAMPLES / "overhead.c", tmp_path, "-O2"), "100")
    for name in ("fr_gaussian_gram_f64", "fr_spectrum_f64", "fr_entropy_f64", "fr_hadamard_f64"):
        assert re.search(rf"^{name} +\d+ +\d+$", output, re.MULTILINE)


# ----------------------------------------------------------------------------------------- the header, the library

USE = "#include <fastrenyi.h>\nint main(void) { return fr_abi_version() != FASTRENYI_ABI_VERSION; }\n"


@pytest.mark.parametrize(
    ("compilers", "suffix", "standard"),
    [(("cc", "gcc", "clang"), ".c", "c99"), (("cc", "gcc", "clang"), ".c", "c11"),
     (("c++", "g++", "clang++"), ".cpp", "c++11"), (("c++", "g++", "clang++"), ".cpp", "c++17")],
)  # fmt: skip
def test_the_header_compiles_without_a_warning(
    compilers: tuple[str, ...], suffix: str, standard: str, tmp_path: Path
) -> None:
    source = tmp_path / f"use{suffix}"
    source.write_text(USE)
    run(tool(*compilers), f"-std={standard}", *STRICT, source, "-o", tmp_path / "use", *LINKED)
    run(tmp_path / "use")


def test_the_library_exports_what_the_header_declares() -> None:
    lines = run(tool("nm"), "-D", "--defined-only", LIBRARY).splitlines()
    names = {line.split()[-1].split("@")[0] for line in lines if " A " not in line}
    assert names == set(c.DECLARED)


def test_the_library_needs_neither_python_nor_lapack() -> None:
    needed = re.findall(r"NEEDED.*\[(.*)\]", run(tool("readelf"), "-d", LIBRARY))
    assert needed
    assert not [name for name in needed if re.search("python|blas|lapack", name)]
    unresolved = run(tool("nm"), "-D", "--undefined-only", LIBRARY)
    assert not re.search(r"\b_?Py", unresolved)


def test_a_program_with_openmp_has_one_runtime(tmp_path: Path) -> None:
    """The library's threads are those of the program, of whose settings it is told."""
    source = tmp_path / "openmp.c"
    source.write_text("""#include <fastrenyi.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    char line[4096], last[4096] = "";
    int runtimes = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps) return 1;
    while (fgets(line, sizeof line, maps)) {
        char *file = strchr(line, '/');
        if (file && (strstr(file, "libgomp") || strstr(file, "libomp")) && strcmp(file, last) != 0) {
            ++runtimes;
            strcpy(last, file);
        }
    }
    omp_set_num_threads(3);
    const int alone = fr_max_threads();
    int within = 0;
#pragma omp parallel num_threads(2)
#pragma omp single
    within = fr_max_threads();
    printf("%d %d %d\\n", runtimes, alone, within);
    return 0;
}
""")
    if not Path("/proc/self/maps").is_file():
        pytest.skip("looks for libraries in /proc")
    output = run(compiled(source, tmp_path, "-fopenmp"))
    if ".libs/" in (ldd := run(tool("ldd"), LIBRARY)) or "libgomp" not in ldd:
        pytest.skip("a wheel with a runtime of its own")
    assert output == "1 3 1\n"


WORKSPACE = EXAMPLES.parents[1] / "tests" / "workspace.c"


def test_workspaces_are_no_larger_than_the_header_says(tmp_path: Path) -> None:
    """By counting what is allocated, on one thread and on two."""
    if sys.platform != "linux" or os.confstr("CS_GNU_LIBC_VERSION") is None:
        pytest.skip("counts the allocations of glibc")
    program = compiled(WORKSPACE, tmp_path)
    bundled = Path(scipy.__file__).parents[1] / "scipy.libs"  # a wheel's
    lapack = next((str(found) for found in sorted(bundled.glob("*openblas*"))), "")
    rows = [line.split() for line in run(program, lapack, OMP_NUM_THREADS="2").splitlines()]
    assert len(rows) > 30
    for name, n, threads, most, said in rows:
        assert int(most) <= int(said), f"{name} of order {n} on {threads} threads takes {most} bytes, not {said}"
    assert {name for name, *_ in rows} >= {"gaussian", "hadamard", "spectrum", "entropy", "pairs"}
