"""The pages of the documentation: their code runs, commands parse, links lead somewhere, and no name is missing.

What `>>>` examples give is looked at by test_doctests; that the site builds without a warning by ``make docs``.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fastrenyi import cli

pytest.importorskip("markdown_it")
pytest.importorskip("torch")
pytest.importorskip("pandas")

import torch
from markdown_it import MarkdownIt
from markdown_it.token import Token
from torch import nn

import fastrenyi.torch as frt

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("the tests lie outside of a source tree", allow_module_level=True)
PAGES = [ROOT / "README.md", ROOT / "PYPI.md", *sorted(DOCS.glob("*.md"))]
LINKED = [
    *PAGES,
    *(ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")),
]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def tokens(page: Path) -> Iterator[Token]:
    """All parts of a page, those within lines as well."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or []


# ------------------------------------------------------------------------------------------------------ code

IMAGES, LABELS = torch.randn(100, 1, 8, 8), torch.arange(100) % 4


def network() -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 2, 3)
            self.fc = nn.Linear(32, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.conv2(self.conv1(x).relu()).relu().flatten(1))

    return Net()


def a_network_in_training() -> dict[str, Any]:
    return {"model": network(), "images": IMAGES, "labels": LABELS, "batches": range(2), "train": lambda _: None}


def a_language_model() -> dict[str, Any]:
    from language_models import WORDS, Transformer

    def tokenizer(texts: list[str], **_: Any) -> dict[str, torch.Tensor]:
        ids = torch.randint(WORDS, (len(texts), 7))
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    return {"model": Transformer(), "tokenizer": tokenizer, "texts": ["a prompt"] * 20}


def runs_and_trackers() -> dict[str, Any]:
    from lightning.pytorch import Trainer
    from torch.utils.tensorboard import SummaryWriter

    from fastrenyi.torch.lightning import MonitorCallback

    probe = [(IMAGES, LABELS)]
    for folder, seed in {"a": 3, "b": 4}.items():
        Path(folder).mkdir()
        monitor = frt.Monitor(network(), probe, store=f"{folder}/run.db", config={"seed": seed, "lr": 0.1})
        monitor.measure(0), monitor.measure(1)
    tracker = SimpleNamespace(log=lambda numbers, step: None)
    return {
        "model": network(), "probe": probe, "step": 2, "wandb": tracker, "SummaryWriter": SummaryWriter,
        "Trainer": Trainer, "MonitorCallback": MonitorCallback,
    }  # fmt: skip


def a_process_group() -> dict[str, Any]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{Path('group').resolve()}", rank=0, world_size=1)
    return {"torch": torch, "mine": IMAGES.flatten(1).numpy()}


# Blocks that stand alone and use what the reader has; those of other pages follow on one another.
READERS: dict[str, list[Callable[[], dict[str, Any]]]] = {
    "README.md": [a_network_in_training, a_language_model, runs_and_trackers],
    "PYPI.md": [a_network_in_training],
    "docs/large.md": [a_process_group],
}


def blocks(page: Path) -> list[str]:
    """The Python code of a page that is no example with `>>>`."""
    return [
        token.content
        for token in tokens(page)
        if token.type == "fence" and token.info == "python" and not token.content.startswith(">>>")
    ]


@pytest.fixture
def _in_an_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("default")  # those of lightning and tensorboard are not ours
@pytest.mark.usefixtures("_in_an_empty_folder")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name_of)
def test_code_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("sklearn", "matplotlib", "lightning", "tensorboard", "xarray"):
        pytest.importorskip(package)
    if page.stem == "jax":
        pytest.importorskip("jax")
    import fastrenyi as fr

    found = blocks(page)
    alone = READERS.get(name_of(page))
    assert alone is None or len(alone) == len(found), "READERS says what each block uses"
    scope: dict[str, Any] = {}
    for k, block in enumerate(found):
        if alone:
            (tmp_path / f"{k}").mkdir()
            monkeypatch.chdir(tmp_path / f"{k}")
            scope = {"fr": fr, "frt": frt, **alone[k]()}
        exec(compile(block, f"{name_of(page)}, block {k}", "exec"), scope)
    if page.stem == "tutorial":
        assert scope["accuracy"] > 0.9
        known = scope["first_and_last"]["known_of_label"].unstack("step")
        assert known.iloc[-1, 1] > 2 * known.iloc[-1, 0]
        assert Path("tutorial.png").read_bytes().startswith(b"\x89PNG")


# -------------------------------------------------------------------------------------------------- commands


def commands(page: Path) -> Iterator[list[str]]:
    """The command lines of a page: of blocks of code, and within lines those with options."""
    for token in tokens(page):
        lines = token.content.splitlines() if token.type == "fence" and token.info in ("", "console") else []
        if token.type == "code_inline" and " --" in token.content:
            lines = [token.content]
        for line in lines:
            if re.match(r"(fastrenyi|python|torchrun|make|pip) ", line) and not re.search(
                r"[|\[] ?-|\.\.\.(?!,)", line
            ):
                yield shlex.split(line, comments=True)


def fault(words: list[str]) -> str | None:
    """What is wrong with a command, without running it."""
    tool, *rest = words
    if tool == "fastrenyi":
        try:
            cli._parser().parse_args(rest)
        except SystemExit as ended:
            return None if not ended.code else "the parser refuses it"
    elif tool == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        return next((f"no target {word}" for word in rest if "=" not in word and word not in targets), None)
    elif tool == "pip":
        listed = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        extras = [name for word in rest for name in "".join(re.findall(r"(?:\.|fastrenyi)\[(.*)\]", word)).split(",")]
        return next((f"no extra {name}" for name in extras if name and f"\n{name} = [" not in listed), None)
    else:
        if "-m" in rest:
            module = rest[rest.index("-m") + 1]
            if importlib.util.find_spec(module.partition(".")[0]) is None:  # another tool's
                return None
            found = Path(importlib.import_module(module).__file__ or "")
            options = rest[rest.index("-m") + 2 :]
        else:
            place = next(k for k, word in enumerate(rest) if word.endswith(".py"))
            found, options = ROOT / rest[place], rest[place + 1 :]
        known = found.read_text(encoding="utf-8") if found.is_file() else ""
        if not known:
            return f"no {found}"
        return next(
            (f"no option {word}" for word in options if word.startswith("--") and f'"{word}"' not in known), None
        )
    return None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_parse(page: Path) -> None:
    for words in commands(page):
        assert fault(words) is None, words


@pytest.mark.parametrize(
    "command",
    ["fastrenyi study plane --nett x --out o", "fastrenyi nothing", "make docss", "python examples/ranks.py --ranks 3",
     "python examples/none.py", "pip install '.[tests]'", "python -m fastrenyi.study.widths --width 3"],
)  # fmt: skip
def test_wrong_commands_are_found(command: str) -> None:
    assert fault(shlex.split(command))


# ----------------------------------------------------------------------------------------------------- links


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub and the site make them."""
    found: list[str] = []
    listed = list(tokens(page))
    for head, text in pairwise(listed):
        if head.type == "heading_open":
            words = "".join(part.content for part in text.children or [])
            found.append(re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-"))
    return set(found)


def links(page: Path) -> Iterator[str]:
    for token in tokens(page):
        target = token.attrGet("href") or token.attrGet("src")
        if target:
            yield str(target)


def leads_nowhere(page: Path, link: str) -> bool:
    if re.match(r"\w+:", link):
        return False
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return not target.exists() or (bool(anchor) and anchor not in anchors(target))


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in links(page) if leads_nowhere(page, link)] == []


def test_links_that_lead_nowhere_are_found() -> None:
    readme = ROOT / "README.md"
    assert leads_nowhere(readme, "docs/none.md")
    assert leads_nowhere(readme, "docs/faq.md#no-such-question")
    assert leads_nowhere(readme, "#no-such-heading")
    assert not leads_nowhere(readme, "docs/faq.md#is-037-bits-real-or-bias")


def test_the_readme_answers_five_questions_in_one_click() -> None:
    asked = [link for link in links(ROOT / "README.md") if link.startswith("docs/faq.md#")]
    assert len(asked) == len(set(asked)) == 5


def test_the_description_of_the_wheel_stands_alone() -> None:
    """The package index shows neither pictures of the repository nor such as are within the text."""
    named = re.search(r'^readme = "(.*)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert [link for link in links(ROOT / named[1]) if not link.startswith("https://")] == []


# ------------------------------------------------------------------------------------------- pages and names


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = re.findall(r"^(?:.* <)?([\w./-]+)>?$", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {page.stem for page in DOCS.glob("*.md")} - {"index"} <= set(listed)


def documented() -> list[Any]:
    """What the reference describes."""
    found, module = [], ""
    for page in (DOCS / "reference").glob("*.rst"):
        for kind, name in re.findall(r"^\.\. (\w+):: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            if kind == "currentmodule":
                module = name
            elif kind == "automodule":
                room = importlib.import_module(name)
                found += [getattr(room, public) for public in getattr(room, "__all__", ())]
            elif kind in ("autofunction", "autoclass", "autodata"):
                place, _, last = (name if name.startswith("fastrenyi.") else f"{module}.{name}").rpartition(".")
                found.append(getattr(importlib.import_module(place), last))
    return found


@pytest.mark.parametrize(
    "module",
    ["fastrenyi", "fastrenyi.torch", "fastrenyi.torch.losses", "fastrenyi.compat.vendi", "fastrenyi.compat.repitl"],
)
def test_no_public_name_is_missing_in_the_reference(module: str) -> None:
    room = importlib.import_module(module)
    public = {name: getattr(room, name) for name in room.__all__ if not name.startswith("__")}
    found = documented()
    missing = [name for name, thing in public.items() if not any(thing is one for one in found)]
    assert [name for name in missing if not isinstance(public[name], ModuleType)] == []
