"""The command line: ``fastrenyi demo | study | representations | report | export | bench | info``, or ``python -m``.

What needs torch or matplotlib is imported by the command that needs it, so that ``fastrenyi info`` is quick
and works without them.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from fastrenyi.study import arguments as study
from fastrenyi.study import language_arguments as language

_LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "torch": "torch",
    "cupy": "cupy|cupy-cuda12x|cupy-cuda11x|cupy-cuda13x",
}
_CPUINFO = Path("/proc/cpuinfo")
# Modules that come with an extra: their absence is the user's to mend, that of any other is a fault of ours.
_OPTIONAL = {
    "torch",
    "pandas",
    "pyarrow",
    "matplotlib",
    "plotly",
    "mlxtend",
    "sklearn",
    "PIL",
    "tqdm",
    "rich",
    "transformers",
    "threadpoolctl",
}
_EXTRA = {
    "demo": "fastrenyi[demo]",
    "study": "fastrenyi[demo]",
    "representations": "fastrenyi[language]",
    "report": "fastrenyi[report]",
    "export": "fastrenyi[report]",
    "bench": "fastrenyi[bench]",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 2 for a user's error (said on stderr), 130 after Ctrl-C or 141 without a reader."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            return _run(given)
        finally:
            if sys.stdout is not None:  # it is None where stdout was closed from the start
                sys.stdout.flush()
    except OSError as error:  # of stdout: all others are told by _run
        # Python flushes once more at its end, and would say it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # `| head` has read enough; a shell says 141 of what SIGPIPE ended
            return 141
        return _fail("", str(error))


def _run(given: list[str]) -> int:
    options = _parser().parse_args(given)
    try:
        if options.command == "demo":
            _demo(options)
        elif options.command == "study":
            _study(options)
        elif options.command == "representations":
            _representations(options)
        elif options.command == "report":
            _report(options)
        elif options.command == "export":
            _export(options)
        elif options.command == "bench":
            _bench(options)
        else:
            print(_info())
    except ImportError as error:
        # The Monitor says in words of its own that pandas is missing, from the import's error.
        name = (error.name or getattr(error.__cause__, "name", None) or "").split(".")[0]
        if name not in _OPTIONAL:
            raise
        return _fail(options.command, f"needs {name}; pip install '{_EXTRA[options.command]}'")
    except BrokenPipeError:
        raise
    except (ValueError, OSError) as error:
        return _fail(options.command, str(error))
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr, end="")
        if options.command == "demo":
            again = [word for word in given if word not in ("--resume", "--overwrite")]
            print(f"; continue with: {shlex.join(['fastrenyi', *again, '--resume'])}", file=sys.stderr, end="")
        elif options.command == "representations":
            print("; the same command goes on behind the last minibatch", file=sys.stderr, end="")
        elif options.command == "study":
            print("; the same command goes on from the runs that are done", file=sys.stderr, end="")
        print(file=sys.stderr)
        return 130
    return 0


def _fail(command: str, message: str) -> int:
    print(f"{f'fastrenyi {command}'.rstrip()}: error: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastrenyi",
        description="Matrix-based Renyi entropy of data and of the layers of a network.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fastrenyi {metadata.version('fastrenyi')}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="demo | study | representations | report | export | bench | info"
    )

    demo = commands.add_parser(
        "demo",
        help="train LeNet-5 on real digits, measure it on the way and write a report",
        allow_abbrev=False,
    )
    # No defaults here: --resume takes what is not given from the run, and a new run from demo.Settings.
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder of the run (default: demo)")
    demo.add_argument(
        "--data",
        choices=("mnist", "digits"),
        help="5,000 MNIST digits or scikit-learn's 1,797 (default: mnist)",
    )
    demo.add_argument("--epochs", type=int, help="passes over the training digits (default: 10)")
    demo.add_argument(
        "--maps",
        type=int,
        nargs=2,
        metavar=("M1", "M2"),
        help="feature maps of both convolutions (default: 6 12)",
    )
    demo.add_argument("--batch-size", type=int, help="digits in a training minibatch (default: 128)")
    demo.add_argument("--order", type=float, help="order alpha of the entropy (default: 1.01)")
    demo.add_argument("--seed", type=int, help="of the split, the weights and the order of the digits (default: 0)")
    demo.add_argument("--probes", type=int, help="minibatches of 100 held-out digits to measure on (default: 4)")
    again = demo.add_mutually_exclusive_group()
    again.add_argument("--overwrite", action="store_true", help="start afresh: remove what a run in the folder wrote")
    again.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in the folder with its settings (--epochs may grow); start one if it is empty",
    )

    study.add_to(commands)
    language.add_to(commands)

    report = commands.add_parser(
        "report", help="draw figures and write the page from the tables of Monitors", allow_abbrev=False
    )
    report.add_argument(
        "frames",
        type=Path,
        nargs="+",
        metavar="FRAME",
        help="store of a Monitor, or its table in Parquet; run.json beside it is read; several are laid over",
    )
    report.add_argument(
        "--labels",
        nargs="+",
        metavar="LABEL",
        help="what each run is called (default: its folder); runs of one label are seeds of one experiment",
    )
    report.add_argument("--title", help="of the page")
    report.add_argument("--format", choices=("png", "svg", "pdf"), help="of the figures (default: png)")
    report.add_argument(
        "--column", choices=("single", "double"), default="double", help="of a journal: 3.5 or 7.2 inches (default)"
    )
    report.add_argument("--out", type=Path, help="folder to write into (default: that of the table, where it is one)")
    report.add_argument("--alpha", type=float, help="one order of a table of several, for figures too")
    report.add_argument("--method", help="one method of a table of several, for figures too")

    export = commands.add_parser("export", help="write a Monitor's table as Parquet or CSV", allow_abbrev=False)
    export.add_argument("store", type=Path, metavar="STORE", help="of a Monitor, or its table in Parquet")
    export.add_argument(
        "out", type=Path, metavar="OUT", help="file.parquet, file.csv, or file.db for a Monitor's store"
    )

    bench = commands.add_parser(
        "bench", help="time the library against torch, NumPy, SciPy and published recipes", allow_abbrev=False
    )
    size = bench.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", dest="size", action="store_const", const="quick", help="tiny sizes: for correctness only"
    )
    size.add_argument("--full", dest="size", action="store_const", const="full", help="the largest matrices as well")
    bench.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="workloads whose name contains NAME, or matches it"
    )
    bench.add_argument("--list", action="store_true", help="name the workloads and stop")
    bench.add_argument("--threads", type=int, help="for all sides (default: torch's, which obeys OMP_NUM_THREADS)")
    bench.add_argument("--budget", type=float, metavar="SECONDS", help="to repeat each workload in (default: 10)")
    bench.add_argument("--no-memory", dest="memory", action="store_false", help="leave the peak memory out")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    bench.add_argument("--markdown", action="store_true", help="print the table of benchmarks/README.md")

    commands.add_parser(
        "info", help="version, processor, instruction sets, compiler, BLAS, threads, libraries", allow_abbrev=False
    )
    return parser


def _demo(options: argparse.Namespace) -> None:
    from fastrenyi import demo

    given = {
        name: value
        for name in ("data", "epochs", "maps", "batch_size", "order", "seed", "probes")
        if (value := getattr(options, name)) is not None
    }
    if "maps" in given:
        given["maps"] = tuple(given["maps"])
    page = demo.run(options.out, given, overwrite=options.overwrite, resume=options.resume)
    print(f"report: {page}")


def _study(options: argparse.Namespace) -> None:
    from fastrenyi.study import command

    written = command.run(options.study, study.given(options))
    print(f"tables: {', '.join(map(str, written))}")


def _representations(options: argparse.Namespace) -> None:
    from fastrenyi.study.language import Options, run

    given = language.given(options)
    print(f"written: {', '.join(map(str, run(Options(**given))))}")


def _report(options: argparse.Namespace) -> None:
    from fastrenyi.report.groups import Group, grouped, views_of
    from fastrenyi.report.page import TITLE, write_together
    from fastrenyi.report.run import Run, of_method, of_order, read_pairs, read_table
    from fastrenyi.table.files import names_of

    several = len(options.frames) > 1
    if several and options.out is None:
        raise ValueError("out: expected a folder for the report of several tables; give --out FOLDER")
    frames = [read_table(path) for path in options.frames]
    runs = [Run.load(path) for path in options.frames]
    kept = [
        read_pairs(path, run.moments_of(frame).values())
        for path, run, frame in zip(options.frames, runs, frames, strict=True)
    ]
    if options.method is not None:
        frames = [of_method(frame, options.method) for frame in frames]
        runs = [run.of_method(options.method) for run in runs]
        kept = [None if one is None else one[one["method"] == options.method] for one in kept]
    if options.alpha is not None:
        frames = [of_order(frame, options.alpha) for frame in frames]
        kept = [None if one is None else one[one["alpha"] == options.alpha] for one in kept]
    if several or options.labels:
        groups = grouped(frames, runs, options.labels or names_of(options.frames), kept)
    else:
        groups = [Group(frames[0], runs[0], pairs=kept[0])]
    choices = len(views_of(groups)) > 1
    if choices and options.format is not None:
        raise ValueError(
            "format: expected one method and order to draw as files, got several; give --method and --alpha"
        )
    page = write_together(
        groups,
        options.out or options.frames[0].parent,
        title=TITLE if options.title is None else options.title,
        kind=options.format or "png",
        column=options.column,
    )
    print(f"report: {page}")
    if choices:
        print("report: figures as files are drawn of one method and order: give --method and --alpha")


def _export(options: argparse.Namespace) -> None:
    from fastrenyi.table.files import export

    export(options.store, options.out)


def _bench(options: argparse.Namespace) -> None:
    from fastrenyi.bench import command, workloads

    size = options.size or "normal"
    if options.list:
        print("\n".join(workload.name for workload in workloads(size)))
        return
    command.run(
        size,
        options.only,
        threads=options.threads,
        json_path=options.json,
        markdown=options.markdown,
        memory=options.memory,
        budget=options.budget,
    )


def _info() -> str:
    from fastrenyi import _core

    build = _core.build_info()
    lines = {
        "fastrenyi": metadata.version("fastrenyi"),
        "python": sys.version.split()[0],
        "processor": _processor(),
        "instruction sets": f"{', '.join(build['isa'])}; {build['isa_in_use']} in use",
        "OpenMP": build["openmp"],
        "compiler": build["compiler"],
        "BLAS": _core.blas_info(),
        "threads": str(_core.max_threads()),
        **{name: _installed(names.split("|")) for name, names in _LIBRARIES.items()},
        "CUDA backend": _cuda(),
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _processor() -> str:
    try:
        described = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not on Linux
        described = ""
    named = re.search(r"^model name\s*:\s*(.+)$", described, re.MULTILINE)  # not there on ARM
    return named[1].strip() if named else platform.processor() or platform.machine()


def _installed(distributions: list[str]) -> str:
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "not found"


def _cuda() -> str:
    from importlib.util import find_spec

    from fastrenyi import _backend

    if find_spec("fastrenyi._cuda") is None:
        return "not built: no nvcc was found, or FASTRENYI_CUDA=OFF"
    found = _backend.opened("fastrenyi._cuda").info()
    version = f"{found['runtime'] // 1000}.{found['runtime'] % 1000 // 10}"
    parts = [f"built for {found['architectures']}, runtime {version}"]
    parts += [f"device {k}: {name}, {major}.{minor}" for k, (name, (major, minor)) in enumerate(found["devices"])]
    if found["problem"]:
        parts.append(f"no device: {found['problem']}")
    parts.append(f"cuSOLVER: {found['cusolver']}")
    return "; ".join(parts)
