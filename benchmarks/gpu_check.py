"""``make gpu-check``: build for the GPU of this machine, test, measure, look for races and wild accesses, profile.

Needs no network, and of Python's packages torch, numpy, scipy, pytest, pybind11 and scikit-build-core; CuPy is tested
and measured if it is there. The most valuable answer comes first, and ``--json`` is written after each step, so that
what was found is kept where the time runs out. ``--help`` names what can be left out. Ends with 0 if all tests and the
sanitizer passed, with 1 if something did not (or a tool is missing that was not left out by name), and with 2 where
nothing can be tried: no GPU, or no nvcc.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "gpu"

PUBLIC = ["tests/test_device.py", "tests/test_gpu.py", "tests/test_cuda_module.py"]
KERNELS = [f"tests/test_emulated_{op}.py" for op in ("inspect", "gram", "hadamard", "entropy", "spectrum", "pairs")]
SANITIZED = [
    "tests/test_emulated_inspect.py::test_every_kind_of_fault",
    "tests/test_emulated_inspect.py::test_the_largest_numbers_are_finite",
    "tests/test_emulated_inspect.py::test_the_first_matrix_with_a_row_of_zeros[shape2-numpy-float64-contiguous]",
    "tests/test_emulated_gram.py::test_the_maps_of_a_layer_each_with_its_width",
    *(
        f"tests/test_emulated_gram.py::test_sizes_around_the_tiles[gaussian-{dtype}-shape{k}]"
        for dtype in ("float64", "float32")
        for k in (10, 11)  # 100 and 128 samples
    ),
    "tests/test_emulated_gram.py::test_a_zero_sample_has_the_kernel_of_its_offset",
    "tests/test_emulated_gram.py::test_equal_samples",
    "tests/test_emulated_gram.py::test_distances_match_the_reference[numpy-float64-contiguous-euclidean]",
    "tests/test_emulated_gram.py::test_distances_match_the_reference[numpy-float32-contiguous-manhattan]",
    "tests/test_emulated_hadamard.py::test_sizes",
    "tests/test_emulated_entropy.py::test_entropies_match_the_reference",
    "tests/test_emulated_entropy.py::test_order_two_from_the_elements[131-numpy-float64-contiguous]",
    *(
        f"tests/test_emulated_spectrum.py::test_spectra_match_the_reference[{n}-{dtype}]"
        for n in (5, 33, 65, 100, 128)
        for dtype in ("float64", "float32")
    ),
    "tests/test_emulated_pairs.py::test_pairs_match_the_reference",
    "tests/test_emulated_pairs.py::test_larger_maps[100-float64]",
]
"""Every kernel in sizes below and above its tiles: few launches, as the sanitizer slows each of them."""

# The interpreter that builds and tests looks for itself, so that a library that ends the process does not end this one.
PROBE = """
import importlib, importlib.util, json, sys
found = {"python": sys.version.split()[0], "missing": [], "gpus": [], "torch": None, "cupy": None, "driver": None}
for name in ("torch", "numpy", "scipy", "pytest", "pybind11", "scikit_build_core"):
    if importlib.util.find_spec(name) is None:
        found["missing"].append(name)
for name in ("torch", "cupy"):
    try:
        found[name] = importlib.import_module(name).__version__
    except Exception as error:
        found[name + "_problem"] = f"{type(error).__name__}: {error}"
if found["torch"]:
    import torch
    found["torch_cuda"] = torch.version.cuda
    if torch.cuda.is_available():
        for device in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(device)
            found["gpus"].append(f"{properties.name}, sm_{properties.major}{properties.minor}, "
                                 f"{properties.total_memory / 2**30:.0f} GiB")
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Step:
    """A command of the check, and how long it may take."""

    name: str
    command: list[str]
    environment: dict[str, str]
    timeout: float
    report: Path | None = None
    """Where pytest writes what it ran."""


@dataclass
class Result:
    """What became of a step."""

    name: str
    state: str
    """passed, failed, missing (its tool is not there) or left out."""
    note: str = ""
    seconds: float = 0.0


Run = Callable[[Step], int]
NO_SANITIZER = "no compute-sanitizer on PATH or beside nvcc; --skip-sanitizer does without"
NO_PROFILER = "no ncu on PATH or beside nvcc; --skip-profiles does without"
SECTIONS = ("SpeedOfLight", "LaunchStats", "Occupancy", "WarpStateStats", "InstructionStats", "MemoryWorkloadAnalysis")
PROFILED = ("spectra-500x100-float64", "layer-64-float64")
"""Of Nsight Compute: what bounds a kernel, and what its warps wait for."""


# ------------------------------------------------------------------------------------------------ what there is


def executable(name: str, *beside: Path) -> str | None:
    """A program on PATH, or in one of these folders."""
    return shutil.which(name) or next((str(folder / name) for folder in beside if (folder / name).exists()), None)


def probe() -> dict[str, Any]:
    """What this machine has."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"looking for torch and GPUs ended with {done.returncode}\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    homes = [Path(os.environ[name]) / "bin" for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    found["nvcc"] = os.environ.get("CUDACXX") or executable("nvcc", *homes, Path("/usr/local/cuda/bin"))
    if found["nvcc"]:
        done = subprocess.run([found["nvcc"], "--version"], capture_output=True, text=True, check=False)
        found["nvcc_version"] = next((line for line in done.stdout.splitlines() if "release" in line), "").strip()
        folder = Path(os.path.realpath(found["nvcc"])).parent
        found["compute-sanitizer"] = executable("compute-sanitizer", folder, folder.parent / "compute-sanitizer")
        found["ncu"] = executable("ncu", folder)
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, check=False)
        found["driver"] = done.stdout.split("\n")[0].strip() if done.returncode == 0 else None
    return found


def problem(found: Mapping[str, Any], built_before: bool = False) -> str | None:
    """Why nothing can be tried on this machine."""
    if found["torch"] is None:
        return f"torch cannot be imported: {found['torch_problem']}"
    if not found["gpus"]:
        cuda = found["torch_cuda"]
        torch = f"torch {found['torch']}, {f'of CUDA {cuda}' if cuda else 'built without CUDA'}"
        return f"no GPU: torch.cuda.is_available() is False ({torch}; driver: {found['driver'] or 'not found'})"
    if not found["nvcc"] and not built_before:
        return "no nvcc on PATH, in CUDACXX, or in CUDA_HOME: the kernels cannot be compiled"
    if found["missing"]:
        return f"these packages of Python are needed and not there: {', '.join(found['missing'])}"
    return None


def described(found: Mapping[str, Any]) -> str:
    cuda = f" (CUDA {found['torch_cuda']})" if found.get("torch_cuda") else ""
    lines = {
        "GPU": "; ".join(found["gpus"]) or "none",
        "driver": found["driver"] or "not found",
        "nvcc": f"{found['nvcc']}, {found['nvcc_version']}" if found["nvcc"] else "none",
        "compute-sanitizer": found.get("compute-sanitizer") or "none",
        "ncu": found.get("ncu") or "none",
        "python": found["python"],
        "torch": f"{found['torch']}{cuda}" if found["torch"] else f"none ({found['torch_problem']})",
        "cupy": found["cupy"] or f"none ({found['cupy_problem']})",
    }
    return "\n".join(f"{name + ':':19}{text}" for name, text in lines.items())


# ---------------------------------------------------------------------------------------------------- the steps


def build_step(found: Mapping[str, Any]) -> Step:
    """Only for this machine's GPU unless CUDAARCHS says otherwise: that compiles in a third of the time."""
    return Step(
        "build",
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
            "--no-build-isolation", "--no-deps", "--target", str(BUILD / "package"),
            f"--config-settings=build-dir={BUILD / 'cmake'}", "--config-settings=cmake.define.FASTRENYI_CUDA=ON",
            "--config-settings=cmake.define.FASTRENYI_EMULATED=ON", ".",
        ],
        {"CUDAARCHS": os.environ.get("CUDAARCHS", "native"), "CUDACXX": found["nvcc"]},
        1800,
    )  # fmt: skip


def pytest_step(name: str, tests: Sequence[str], before: Sequence[str] = (), timeout: float = 900, **more: str) -> Step:
    report = BUILD / f"{name.replace(' ', '-')}.xml"
    command = [*before, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    return Step(name, command, more, timeout, report)


def sanitizer_step(tool: str, sanitizer: str) -> Step:
    before = [sanitizer, "--tool", tool, "--error-exitcode", "1", "--target-processes", "all"]
    more = {
        "FASTRENYI_TEST_MEMORY": "cuda",
        # Each tensor has memory of its own, whose end the sanitizer sees.
        "PYTORCH_NO_CUDA_MEMORY_CACHING": "1",
    }
    if tool == "memcheck":
        # torch asks the driver questions whose answer may be an error; ours are exceptions, which fail the test.
        before += ["--report-api-errors", "no"]
    if tool == "initcheck":
        more["FASTRENYI_TEST_UNWRITTEN_WORKSPACE"] = "1"
    return pytest_step(tool, SANITIZED, before, timeout=600, **more)


def benchmarks_step(quick: bool, seconds: float) -> Step:
    command = [sys.executable, "-m", "fastrenyi.bench.gpu", "--json", str(BUILD / "benchmarks.json")]
    return Step("benchmarks", [*command, *(["--quick"] if quick else [f"--seconds={seconds:g}"])], {}, 1800)


def profile_step(workload: str, ncu: str) -> Step:
    """Our kernels of a workload, each launched once under the profiler; the clocks are left as they are."""
    sections = [f"--section={section}" for section in SECTIONS]
    program = [sys.executable, "-m", "fastrenyi.bench.gpu", "--once", "--only", workload]
    ours = ["--clock-control", "none", "--kernel-name", "regex:^run$", "--launch-count", "12"]
    return Step(f"profile of {workload}", [ncu, *ours, *sections, *program], {}, 300)


# -------------------------------------------------------------------------------------------------- running them


def run(step: Step) -> int:
    """Run a step where its output can be seen; one that takes too long is ended with all its children."""
    process = subprocess.Popen(
        step.command, cwd=ROOT, env={**os.environ, **step.environment}, start_new_session=True
    )  # fmt: skip
    try:
        return process.wait(step.timeout)
    except subprocess.TimeoutExpired:
        print(f"{step.name}: no end after {step.timeout:g} s", file=sys.stderr)
        return 124
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def counted(report: Path) -> dict[str, int]:
    """How many tests passed, failed and were skipped."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    total = {key: sum(int(suite.get(key, 0)) for suite in suites) for key in ("tests", "failures", "errors", "skipped")}
    failed = total["failures"] + total["errors"]
    return {"passed": total["tests"] - failed - total["skipped"], "failed": failed, "skipped": total["skipped"]}


def done(step: Step, runner: Run) -> Result:
    """Run a step and judge it."""
    print(f"\n== {step.name}\n{' '.join(step.command)}", flush=True)
    if step.report is not None:
        step.report.parent.mkdir(parents=True, exist_ok=True)
        step.report.unlink(missing_ok=True)
    begin = time.perf_counter()
    code = runner(step)
    result = Result(step.name, "failed" if code else "passed", f"exit code {code}" if code else "")
    result.seconds = time.perf_counter() - begin
    if step.report is not None and step.report.exists():
        numbers = counted(step.report)
        said = [f"{n} {what}" for what, n in numbers.items() if n]
        result.note = ", ".join([*said, *([result.note] if code else [])])
        if numbers["passed"] == 0:
            # On a machine with a GPU; tests that were all skipped have shown nothing.
            result.state, result.note = "failed", f"no test ran: {result.note or 'none was found'}"
    elif step.report is not None:
        result.state, result.note = "failed", f"no test ran: {result.note or 'pytest wrote no report'}"
    return result


@dataclass
class Plan:
    """What to do on this machine."""

    first: Step | None
    """The build, unless there is one."""
    others: list[Step] = field(default_factory=list)
    left: list[Result] = field(default_factory=list)
    """Steps that are not run, and why."""


def plan(found: Mapping[str, Any], options: argparse.Namespace) -> Plan:
    steps = Plan(None if options.package else build_step(found))
    steps.others.append(pytest_step("tests of kernels", KERNELS, FASTRENYI_TEST_MEMORY="cuda"))
    if options.skip_benchmarks:
        steps.left += [Result(name, "left out", "--skip-benchmarks") for name in ("benchmarks", "overhead")]
    else:
        steps.others.append(benchmarks_step(options.quick, options.seconds))
        steps.others.append(Step("overhead", [sys.executable, "-m", "fastrenyi.bench.overhead"], {}, 600))
    steps.others.append(pytest_step("tests", PUBLIC))
    sanitizer = found.get("compute-sanitizer")
    for tool in ("memcheck", "racecheck", "initcheck"):
        if options.skip_sanitizer or (options.quick and tool != "memcheck"):
            steps.left.append(Result(tool, "left out", "--skip-sanitizer" if options.skip_sanitizer else "--quick"))
        elif sanitizer is None:
            steps.left.append(Result(tool, "missing", NO_SANITIZER))
        else:
            steps.others.append(sanitizer_step(tool, sanitizer))
    for workload in PROFILED:
        name = f"profile of {workload}"
        if options.skip_profiles or options.quick:
            steps.left.append(Result(name, "left out", "--skip-profiles" if options.skip_profiles else "--quick"))
        elif found.get("ncu") is None:
            steps.left.append(Result(name, "missing", NO_PROFILER))
        else:
            steps.others.append(profile_step(workload, found["ncu"]))
    return steps


def table(results: Sequence[Result]) -> str:
    width = max(len(result.name) for result in results)
    return "\n".join(
        f"{result.name:<{width}}  {result.state:<8}  {result.seconds:6.0f} s  {result.note}".rstrip()
        for result in results
    )


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make gpu-check", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="of the sanitizer memcheck alone; tiny benchmarks")
    parser.add_argument("--skip-sanitizer", action="store_true", help="leave compute-sanitizer out")
    parser.add_argument("--skip-benchmarks", action="store_true", help="leave the benchmarks out")
    parser.add_argument("--skip-profiles", action="store_true", help="leave ncu out")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to measure a workload (default: 10)")
    parser.add_argument("--package", type=Path, metavar="FOLDER", help="do not build: the package is there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found and measured, after each step")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, runner: Run = run, look: Callable[[], dict[str, Any]] = probe) -> int:
    options = parsed(arguments)
    found = look()
    print(described(found), flush=True)
    why = problem(found, options.package is not None)
    if why is not None:
        print(f"\ngpu-check: nothing was built or tested: {why}", file=sys.stderr)
        return 2
    steps = plan(found, options)
    package = options.package.resolve() if options.package else BUILD / "package"
    BUILD.mkdir(parents=True, exist_ok=True)
    measured = BUILD / "benchmarks.json"
    measured.unlink(missing_ok=True)
    results: list[Result] = []

    def note(result: Result) -> None:
        results.append(result)
        if options.json is not None:
            write(options.json, found, results, measured)

    if steps.first is not None:
        shutil.rmtree(package, ignore_errors=True)  # pip does not replace what is in a target
        note(done(steps.first, runner))
    ready = all(result.state == "passed" for result in results)
    for step in steps.others:
        # The package that was built is the one that is imported.
        step = replace(step, environment={"PYTHONPATH": str(package), **step.environment})
        note(done(step, runner) if ready else Result(step.name, "left out", "the build failed"))
    for result in steps.left:
        note(result)
    print(f"\n== gpu-check\n{table(results)}", flush=True)
    return int(any(result.state in ("failed", "missing") for result in results))


def write(path: Path, found: Mapping[str, Any], results: Sequence[Result], measured: Path) -> None:
    """Everything so far, whole or not at all."""
    benchmarks = json.loads(measured.read_text(encoding="utf-8")) if measured.exists() else None
    everything = {"found": found, "steps": [asdict(result) for result in results], "benchmarks": benchmarks}
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
