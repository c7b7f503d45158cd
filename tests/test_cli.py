"""The command line: what it prints, what it refuses, and what it needs not import."""

import argparse
import dataclasses
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from fastrenyi import _core, _info, cli


def failing(arguments, capsys):
    """Run a command that must be refused with exit code 2; return what it says on stderr."""
    try:
        code = cli.main(arguments)
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def python(code, *arguments):
    """Run code in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"fastrenyi {metadata.version('fastrenyi')}\n"


def test_info_says_what_is_built_and_found(capsys):
    assert cli.main(["info"]) == 0
    lines = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["fastrenyi"] == metadata.version("fastrenyi")
    assert lines["python"] == sys.version.split()[0]
    build = _core.build_info()
    assert lines["instruction sets"] == f"{', '.join(build['isa'])}; {build['isa_in_use']} in use"
    assert lines["BLAS"] == _core.blas_info()
    assert int(lines["threads"]) == _core.max_threads() >= 1
    assert lines["numpy"] == metadata.version("numpy")
    assert lines["scipy"] == metadata.version("scipy")  # its LAPACK is used
    assert lines["compiler"] == build["compiler"]
    assert re.match(r"(GCC|.*(clang|LLVM)).* \d+\.\d+", build["compiler"], re.IGNORECASE)
    assert {"OpenMP", "torch", "cupy", "CUDA backend", "commit", "system", "environment"} <= lines.keys()


def test_info_as_json_has_the_same(capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("SECRET", "never told")
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    assert cli.main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [line.split("  ")[0] for line in text.splitlines()] == list(found)
    assert found["threads"] == _core.max_threads()
    assert "OMP_NUM_THREADS=3" in found["environment"]
    assert "never told" not in text


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git makes the checkouts")
def test_the_commit_is_that_of_our_checkout_alone(tmp_path, monkeypatch):
    package = tmp_path / "python" / "fastrenyi"
    package.mkdir(parents=True)
    (package / "_info.py").write_text("")
    monkeypatch.setattr(_info, "__file__", str(package / "_info.py"))
    monkeypatch.setattr(_info, "_of_install", lambda: "of the install")
    assert _info.commit() == "of the install"
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert _info.commit() == head
    (package / "_info.py").write_text("changed")
    assert _info.commit() == f"{head}-dirty"
    elsewhere = tmp_path / "lib" / "fastrenyi"  # installed within a checkout of something else
    elsewhere.mkdir(parents=True)
    (package / "_info.py").unlink()
    monkeypatch.setattr(_info, "__file__", str(elsewhere / "_info.py"))
    assert _info.commit() == "of the install"


@pytest.mark.parametrize(
    ("written", "expected"),
    [('{"vcs_info": {"vcs": "git", "commit_id": "abc"}}', "abc"), ('{"dir_info": {}}', None), (None, None)],
)
def test_the_commit_of_an_install_is_what_pip_wrote(written, expected, monkeypatch):
    monkeypatch.setattr(_info, "_of_checkout", lambda folder: None)
    monkeypatch.setattr(_info.metadata, "distribution", lambda name: SimpleNamespace(read_text=lambda file: written))
    assert _info.commit() == expected


@pytest.mark.parametrize(
    ("described", "named"),
    [
        (
            "processor\t: 0\nmodel name\t: Some Processor @ 2 GHz\nprocessor\t: 1\nmodel name\t: Other\n",
            "Some Processor @ 2 GHz",
        ),
        ("processor\t: 0\nBogoMIPS\t: 243.75\n", "the platform's word"),
        (None, "the platform's word"),
    ],
    ids=["x86", "arm", "no Linux"],
)
def test_info_names_the_processor(described, named, capsys, monkeypatch, tmp_path):
    if described is not None:
        (tmp_path / "cpuinfo").write_text(described)
    monkeypatch.setattr(_info, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(_info.platform, "processor", lambda: "the platform's word")
    assert cli.main(["info"]) == 0
    assert re.search(rf"^processor  +{named}$", capsys.readouterr().out, re.MULTILINE)


def test_info_names_libraries_that_are_not_there(capsys, monkeypatch):
    def absent(name):
        if name == "fastrenyi":
            return "1.2.3"
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_info.metadata, "version", absent)
    assert cli.main(["info"]) == 0
    assert re.search(r"^torch +not found$", capsys.readouterr().out, re.MULTILINE)


def test_info_and_help_import_nothing_heavy():
    code = """
import sys
from fastrenyi import cli
assert cli.main(["info"]) == 0
for command in (["demo"], ["study", "plane"]):
    try:
        cli.main([*command, "--help"])
    except SystemExit as exit_:
        assert exit_.code == 0
heavy = {"torch", "pandas", "pyarrow", "matplotlib", "sklearn", "mlxtend"} & set(sys.modules)
assert not heavy, heavy
"""
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "fastrenyi", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"fastrenyi {metadata.version('fastrenyi')}\n")


def test_without_arguments_it_helps(capsys):
    assert cli.main([]) == 0
    bare = capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--help"])
    assert exit_.value.code == 0
    assert bare.out == capsys.readouterr().out
    assert bare.err == ""
    assert "exit codes:" in bare.out


def parsers(parser):
    """A parser and all of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from parsers(one)


@pytest.mark.parametrize("parser", list(parsers(cli._parser())), ids=lambda parser: parser.prog)
def test_every_help_has_examples_that_are_right(parser):
    text = parser.format_help()
    assert max(map(len, text.splitlines())) <= 84
    lines = text.partition("\nexamples:\n")[2].partition("\n\n")[0].splitlines()
    assert lines
    for line in lines:
        program, *words = shlex.split(line, comments=True)
        assert program == "fastrenyi"
        assert cli._parser().parse_args(words).command == words[0]


def test_the_help_of_the_demo_states_the_defaults(capsys):
    demo = pytest.importorskip("fastrenyi.demo")
    with pytest.raises(SystemExit):
        cli.main(["demo", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for entry in dataclasses.fields(demo.Settings):
        default = " ".join(map(str, entry.default)) if isinstance(entry.default, tuple) else entry.default
        option = f"--{entry.name.replace('_', '-')} "
        assert re.search(re.escape(option) + rf".*?\(default: {re.escape(str(default))}\)", text), option


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dance"], "invalid choice: 'dance'"),
        (["demo", "--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["demo", "--epochs", "0"], "--epochs: expected at least 1, got 0"),
        (["demo", "--maps", "6"], "argument --maps: expected 2 arguments"),
        (["demo", "--maps", "6", "-1"], "--maps: expected at least 1, got -1"),
        (["demo", "--batch-size", "0"], "--batch-size: expected at least 1, got 0"),
        (["demo", "--order", "one"], "argument --order: invalid float value: 'one'"),
        (["demo", "--order", "-1"], "--order: expected an order of at least 0, got -1"),
        (["demo", "--order", "nan"], "--order: expected an order of at least 0, got nan"),
        (["demo", "--seed", "-3"], "--seed: expected a whole number from 0"),
        (["demo", "--seed", "0.5"], "argument --seed: invalid int value: '0.5'"),
        (["demo", "--data", "cifar"], "argument --data: invalid choice: 'cifar'"),
        (["demo", "--probes", "99"], "--probes: expected at most 10"),
        (["demo", "--overwrite", "--resume"], "argument --resume: not allowed with argument --overwrite"),
        (["demo", "--epoch", "2"], "unrecognized arguments: --epoch 2"),
        (["demo", "extra"], "unrecognized arguments: extra"),
        (["report"], "the following arguments are required: FRAME"),
        (["report", "absent.parquet"], "frame: there is no absent.parquet"),
        (["info", "--all"], "unrecognized arguments: --all"),
    ],
)
def test_wrong_arguments_are_named(arguments, said, capsys, tmp_path, monkeypatch):
    if arguments[:1] in (["demo"], ["report"]):
        pytest.importorskip("fastrenyi.demo")
    monkeypatch.chdir(tmp_path)
    message = failing(arguments, capsys)
    assert said in message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_into_the_same_folder_names_both_ways_out(capsys, tmp_path):
    pytest.importorskip("fastrenyi.demo")
    (tmp_path / "thesis.tex").write_text("years of work")
    message = failing(["demo", "--out", str(tmp_path)], capsys)
    assert "--overwrite" in message
    assert "--resume" in message
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert "has no checkpoint.pt" in failing(["demo", "--out", str(tmp_path), "--resume"], capsys)
    assert "is a file" in failing(["demo", "--out", str(tmp_path / "thesis.tex")], capsys)


def test_the_options_of_the_demo_arrive(monkeypatch, tmp_path, capsys):
    demo = pytest.importorskip("fastrenyi.demo")
    calls = []
    monkeypatch.setattr(demo, "run", lambda *given, **how: calls.append((given, how)) or Path("page.html"))
    words = "--data digits --epochs 3 --maps 4 5 --batch-size 6 --order 2 --seed 7 --probes 1 --resume"
    assert cli.main(["demo", "--out", str(tmp_path), *words.split()]) == 0
    given = {"data": "digits", "epochs": 3, "maps": (4, 5), "batch_size": 6, "order": 2.0, "seed": 7, "probes": 1}
    assert calls.pop() == ((tmp_path, given), {"overwrite": False, "resume": True})
    assert "page.html" in capsys.readouterr().out
    assert cli.main(["demo", "--overwrite"]) == 0
    assert calls.pop() == ((Path("demo"), {}), {"overwrite": True, "resume": False})


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    demo = pytest.importorskip("fastrenyi.demo")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert cli.main(["demo", "--overwrite", "--out", "my run", "--epochs", "3"]) == 130
    assert "continue with: fastrenyi demo --out 'my run' --epochs 3 --resume\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "extra", "missing"),
    [("demo", "[demo]", missing) for missing in ("torch", "matplotlib", "pandas", "plotly")]
    + [("study", "[demo]", missing) for missing in ("torch", "matplotlib", "pandas", "sklearn")]
    + [("report", "[report]", missing) for missing in ("matplotlib", "pandas", "pyarrow", "plotly")],
)
def test_a_missing_package_is_named_with_its_extra(command, extra, missing, tmp_path):
    pytest.importorskip("fastrenyi.demo")
    # mlxtend and scikit-learn are imported before the Monitor and would themselves fail without pandas.
    arguments = {
        "demo": ["--data", "digits", "--out", str(tmp_path / "out")],
        "study": ["plane", "--data", "digits", "--out", str(tmp_path / "out")],
        "report": [str(tmp_path / "a.parquet")],
    }
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    code = "import sys; sys.modules[sys.argv[1]] = None; from fastrenyi import cli; sys.exit(cli.main(sys.argv[2:]))"
    done = python(code, missing, command, *arguments[command])
    assert done.returncode == 2, done.stderr
    assert f"fastrenyi {command}: error: needs {missing}; pip install 'fastrenyi{extra}'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_of_ours_is_not_hidden(monkeypatch):
    def broken():
        raise ModuleNotFoundError("No module named 'fastrenyi.ghost'", name="fastrenyi.ghost")

    monkeypatch.setattr(_info, "found", broken)
    with pytest.raises(ModuleNotFoundError, match="ghost"):
        cli.main(["info"])


def test_a_wrong_instruction_set_is_one_line(tmp_path):
    script = tmp_path / "fastrenyi"  # as installers write it
    script.write_text("import sys\nfrom fastrenyi.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n")
    for start in (["-m", "fastrenyi"], ["-mfastrenyi"], ["-W", "error", str(script)]):
        done = subprocess.run(
            [sys.executable, *start, "info"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "FASTRENYI_ISA": "foo"},
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(r"fastrenyi: error: FASTRENYI_ISA: expected one of .*, got 'foo'\n", done.stderr)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [["info"], ["--help"], ["--version"], ["bench", "--list"], ["report", "table"]])
def test_a_reader_that_has_gone_ends_the_command_quietly(command, unbuffered, tmp_path):
    if command[0] in ("bench", "report"):
        pytest.importorskip("fastrenyi.demo")
    # What a report and a demo do is more than this asks for: they print, as the others do.
    code = """
import sys
from fastrenyi import cli
cli._report = lambda options: "report: page"
sys.exit(cli.main(sys.argv[1:]))
"""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, *command],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    finally:
        os.close(writing)
    assert done.stderr == ""
    # argparse itself drops an error of writing where nothing is buffered.
    assert done.returncode in ({0, 141} if unbuffered and command[0].startswith("--") else {141})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told_in_one_line(unbuffered):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fastrenyi", "info"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 2
    assert re.fullmatch(r"fastrenyi( info)?: error: .*No space left on device\n", done.stderr)


def test_report_writes_figures_and_page(tmp_path, capsys):
    pytest.importorskip("fastrenyi.demo")
    import torch

    import fastrenyi.torch as frt

    table = tmp_path / "run.db"
    images = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(108, 2)
        )
    frt.Monitor(model, [(images, torch.arange(20) % 2)], store=table).measure(0)
    assert cli.main(["report", str(table)]) == 0
    assert (tmp_path / "report.html").exists()
    assert str(tmp_path / "report.html") in capsys.readouterr().out
    assert cli.main(["report", str(table), "--out", str(tmp_path / "elsewhere")]) == 0
    assert (tmp_path / "elsewhere" / "information_plane.png").exists()
    capsys.readouterr()
    assert f"folder: expected a folder, got the file {table}" in failing(
        ["report", str(table), "--out", str(table)], capsys
    )


def test_report_finds_the_table_of_a_folder(tmp_path, capsys):
    for name in ("pandas", "pyarrow", "matplotlib", "plotly"):
        pytest.importorskip(name)
    import pandas as pd

    from tables import table

    folder = tmp_path / "run"
    folder.mkdir()
    none = f"frame: expected a store of a Monitor or its export in the folder {folder}, got none"
    assert none in failing(["report", str(folder)], capsys)
    (folder / "notes.txt").write_text("mine")
    (folder / "accuracy.csv").write_text("epoch,accuracy\n0,0.5\n")
    (folder / "other.parquet").write_bytes(pd.DataFrame({"a": [1]}).to_parquet())
    assert none in failing(["report", str(folder)], capsys)
    table().to_parquet(folder / "any name.parquet")
    assert cli.main(["report", str(folder)]) == 0
    assert f"report: {folder / 'report.html'}" in capsys.readouterr().out
    assert cli.main(["report", str(folder), str(folder), "--labels", "x", "x", "--out", str(tmp_path / "both")]) == 0
    capsys.readouterr()
    assert cli.main(["export", str(folder / "any name.parquet"), str(folder / "run.db")]) == 0
    assert cli.main(["export", str(folder / "any name.parquet"), str(folder / "run.csv")]) == 0
    message = failing(["report", str(folder)], capsys)
    assert "frame: expected one table in the folder" in message
    assert "got 3; name one or more of any name.parquet, run.csv, run.db" in message
    (folder / "any name.parquet").unlink()
    (folder / "run.csv").unlink()
    assert cli.main(["report", str(folder)]) == 0


def test_report_lays_runs_over_one_another(tmp_path, capsys):
    for name in ("pandas", "pyarrow", "matplotlib", "plotly"):
        pytest.importorskip(name)
    from tables import table

    paths = []
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        paths.append(str(tmp_path / name / "run.parquet"))
        table().to_parquet(paths[-1])
    out = tmp_path / "out"
    assert "error: out: expected a folder for the report of several" in failing(["report", *paths], capsys)
    assert "labels: expected one for each table, 3, got 1" in failing(
        ["report", *paths, "--out", str(out), "--labels", "x"], capsys
    )
    options = ["--out", str(out), "--title", "Mine", "--format", "pdf", "--column", "single"]
    assert cli.main(["report", *paths, *options, "--labels", "x", "x", "y z"]) == 0
    assert {path.name for path in out.iterdir()} == {"report.html", "comparison.pdf"}
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<h1>Mine</h1>" in page
    assert "<b>x</b>: 4 layers, measured at 3 moments of training on 2 runs" in page
    assert "<b>y z</b>: 4 layers, measured at 3 moments of training on 2 probe minibatches" in page
    assert cli.main(["report", *paths[:2], "--out", str(out)]) == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<b>a</b>" in page  # by its folder
    assert "<b>b</b>" in page
    assert cli.main(["report", paths[0], "--format", "svg"]) == 0
    assert (tmp_path / "a" / "differences.svg").exists()


def test_report_needs_no_torch(tmp_path):
    for name in ("pandas", "pyarrow", "matplotlib", "plotly"):
        pytest.importorskip(name)
    code = """
import sys
sys.modules["torch"] = None
from pathlib import Path
from fastrenyi import cli
from fastrenyi.table.columns import COLUMNS, table
from fastrenyi.table.store import Store
path = Path(sys.argv[1])
rows = [
    {name: 1.0 for name in COLUMNS} | {"step": step, "batch": 0, "layer": layer, "depth": depth, "channels": 3}
    for step in range(3) for depth, layer in enumerate(["conv", "fc"])
]
Store(path, {"probe_sizes": [20]}).append(table(rows))
sys.exit(cli.main(["report", str(path)]))
"""
    done = python(code, str(tmp_path / "run.db"))
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "report.html").read_text()
    assert "without a null, or one of a single permutation, in conv, fc." in page


def test_a_table_that_is_none_is_refused(tmp_path, capsys):
    pytest.importorskip("fastrenyi.demo")
    (tmp_path / "text.parquet").write_text("nothing of the kind")
    assert "file is not a database" in failing(["report", str(tmp_path / "text.parquet")], capsys)
    assert os.listdir(tmp_path) == ["text.parquet"]
