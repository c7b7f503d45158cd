"""The command line: ``fastrenyi COMMAND``, also as ``python -m fastrenyi``.

What needs torch or matplotlib is imported by the command that needs it, so that ``fastrenyi info`` is quick
and works without them. The arguments of ``study`` and ``entropy`` stand beside what they are for.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from fastrenyi import _info, _log, quick
from fastrenyi.study import arguments as study
from fastrenyi.study import language_arguments as language

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
_DESCRIPTION = """
Matrix-based Renyi entropy of data and of the layers of a network.
"""
_CODES = """
exit codes:
  0    done
  1    done, and not as it should be: slower than allowed, or a wrong answer
  2    refused, in one line: wrong arguments or files, a package missing
  130  ended by Ctrl-C
  141  what reads the output has gone
"""
_EXAMPLES = {
    "": """
examples:
  fastrenyi entropy activations.npy labels.npy  # and what the two share
  fastrenyi demo                                # train, measure, report
  fastrenyi report demo                         # figures and page of a run
  fastrenyi bench --only spectra                # against torch and others
  fastrenyi info                                # for a bug report
""",
    "demo": """
examples:
  fastrenyi demo --data digits --epochs 3 --out digits
  fastrenyi demo --out digits --epochs 6 --resume
""",
    "report": """
examples:
  fastrenyi report demo
  fastrenyi report run.db --method tensor --alpha 2 --format pdf --column single
  fastrenyi report a b c --labels narrow wide wide --out both
""",
    "export": """
examples:
  fastrenyi export run.db run.csv
  fastrenyi export run.db run.parquet
""",
    "bench": """
examples:
  fastrenyi bench --only spectra --only gram --threads 2 --json before.json
  fastrenyi bench --threads 2 --compare before.json --slowdown 1.25
  fastrenyi bench --workloads mine.py --only mine --markdown
""",
    "info": """
examples:
  fastrenyi info
  fastrenyi info --json
""",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, or as ``fastrenyi --help`` says."""
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
    parser = _parser()
    options = parser.parse_args(given)
    try:
        if options.command is None:
            parser.print_help()
        elif options.command == "entropy":
            with _warnings_in_a_line("entropy"), _log.waiting("fastrenyi entropy"):
                text = quick.run(options)
            print(text)
        elif options.command == "demo":
            _demo(options)
        elif options.command == "study":
            _study(options)
        elif options.command == "representations":
            _representations(options)
        elif options.command == "report":
            with _log.waiting("fastrenyi report"):
                told = _report(options)
            print(told)
        elif options.command == "export":
            _export(options)
        elif options.command == "bench":
            return _bench(options)
        else:
            print(_told(as_json=options.json))
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
    except MemoryError as error:
        return _fail(options.command, f"more memory than there is ({error})")
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


def _fail(command: str, message: str, code: int = 2) -> int:
    print(f"{f'fastrenyi {command}'.rstrip()}: error: {message}", file=sys.stderr)
    return code


@contextmanager
def _warnings_in_a_line(command: str) -> Iterator[None]:
    """Show warnings without the place in the code that they come from."""

    def shown(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"fastrenyi {command}: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = shown
        yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastrenyi", description=_DESCRIPTION.strip(), epilog=_EXAMPLES[""] + _CODES, **_LAID_OUT
    )
    parser.add_argument("--version", action="version", version=f"fastrenyi {metadata.version('fastrenyi')}")
    commands = parser.add_subparsers(
        dest="command", metavar="entropy | demo | study | representations | report | export | bench | info"
    )

    quick.add_to(commands)

    demo = _command(commands, "demo", "train LeNet-5 on real digits, measure it on the way and write a report")
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

    report = _command(commands, "report", "draw figures and write the page from the tables of Monitors")
    report.add_argument(
        "frames",
        type=Path,
        nargs="+",
        metavar="FRAME",
        help="store of a Monitor, its table in Parquet or CSV, or the folder of one of them; run.json beside it is "
        "read; several are laid over",
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

    export = _command(commands, "export", "write a Monitor's table as Parquet or CSV")
    export.add_argument("store", type=Path, metavar="STORE", help="of a Monitor, or its table in Parquet or CSV")
    export.add_argument(
        "out", type=Path, metavar="OUT", help="file.parquet, file.csv, or file.db for a Monitor's store"
    )

    bench = _command(commands, "bench", "time the library against torch, NumPy, SciPy and published recipes")
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
    bench.add_argument(
        "--workloads", type=Path, metavar="FILE.py", help="with workloads of your own: its workloads(size) returns them"
    )
    bench.add_argument(
        "--compare", type=Path, metavar="FILE", help="beside the run that --json FILE wrote: the ratios of our times"
    )
    bench.add_argument(
        "--slowdown",
        type=float,
        metavar="FACTOR",
        help="exit with code 1 where --compare finds a ratio above it (default: 1.25)",
    )
    bench.add_argument(
        "--per-gemm",
        action="store_true",
        help="with --compare: of times in matrix products of each run's own machine",
    )

    info = _command(
        commands, "info", "version, processor, instruction sets, compiler, BLAS, threads, libraries: for a bug report"
    )
    info.add_argument("--json", action="store_true", help="print it as JSON")
    return parser


_LAID_OUT: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, words: str
) -> argparse.ArgumentParser:
    """Add a command: its words in the list of commands, and in its own help with examples."""
    description = textwrap.fill(f"{words[0].upper()}{words[1:]}.", 78)
    return commands.add_parser(name, help=words, description=description, epilog=_EXAMPLES[name], **_LAID_OUT)


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


def _report(options: argparse.Namespace) -> str:
    from fastrenyi.report.groups import Group, grouped, views_of
    from fastrenyi.report.page import TITLE, write_together
    from fastrenyi.report.run import Run, of_method, of_order, read_pairs, read_table
    from fastrenyi.table.files import names_of, table_of

    several = len(options.frames) > 1
    if several and options.out is None:
        raise ValueError("out: expected a folder for the report of several tables; give --out FOLDER")
    paths = [table_of(path) for path in options.frames]
    frames = [read_table(path) for path in paths]
    runs = [Run.load(path) for path in paths]
    kept = [
        read_pairs(path, run.moments_of(frame).values()) for path, run, frame in zip(paths, runs, frames, strict=True)
    ]
    if options.method is not None:
        frames = [of_method(frame, options.method) for frame in frames]
        runs = [run.of_method(options.method) for run in runs]
        kept = [None if one is None else one[one["method"] == options.method] for one in kept]
    if options.alpha is not None:
        frames = [of_order(frame, options.alpha) for frame in frames]
        kept = [None if one is None else one[one["alpha"] == options.alpha] for one in kept]
    if several or options.labels:
        groups = grouped(frames, runs, options.labels or names_of(paths), kept)
    else:
        groups = [Group(frames[0], runs[0], pairs=kept[0])]
    choices = len(views_of(groups)) > 1
    if choices and options.format is not None:
        raise ValueError(
            "format: expected one method and order to draw as files, got several; give --method and --alpha"
        )
    page = write_together(
        groups,
        options.out or paths[0].parent,
        title=TITLE if options.title is None else options.title,
        kind=options.format or "png",
        column=options.column,
    )
    more = "\nreport: figures as files are drawn of one method and order: give --method and --alpha" if choices else ""
    return f"report: {page}{more}"


def _export(options: argparse.Namespace) -> None:
    from fastrenyi.table.files import export

    export(options.store, options.out)


def _bench(options: argparse.Namespace) -> int:
    from fastrenyi.bench import WrongAnswerError, command

    size = options.size or "normal"
    if options.list:
        print("\n".join(workload.name for workload in command.chosen(size, options.only, options.workloads)))
        return 0
    try:
        fine = command.run(
            size,
            options.only,
            threads=options.threads,
            json_path=options.json,
            markdown=options.markdown,
            memory=options.memory,
            budget=options.budget,
            file=options.workloads,
            earlier=options.compare,
            slowdown=options.slowdown,
            per_gemm=options.per_gemm,
        )
    except WrongAnswerError as error:
        return _fail("bench", str(error), 1)
    return 0 if fine else 1


def _told(as_json: bool) -> str:
    found = _info.found()
    if as_json:
        return json.dumps(found, indent=1)
    width = max(map(len, found))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in found.items())
