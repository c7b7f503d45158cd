"""Public docstrings speak one dialect, numpydoc, and each can be read alone: the sections that it needs are there."""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import fastrenyi as fr
import fastrenyi.torch as frt

ORDER = ["Parameters", "Attributes", "Returns", "Raises", "Notes", "Examples"]
# Which users do not make.
HOLDERS = {
    fr.Estimate, fr.GroupOInformation, fr.LayerDecomposition, fr.LayerNull, fr.LazyGram, fr.LeaveOneOut, fr.MapRanking,
    fr.PermutationTest, fr.RankingNull, frt.Activations, fr.NotPositiveSemidefiniteError,
}  # fmt: skip
PUBLIC = {
    f"{room.__name__}.{name}": getattr(room, name)
    for room in (fr, frt, frt.losses)
    for name in room.__all__
    if not name.startswith("__") and callable(getattr(room, name))
}


def sections(text: str) -> dict[str, str]:
    """The text below each heading; that above the first is under ""."""
    parts = re.split(r"^(\w+)\n-{3,}$", text, flags=re.MULTILINE)
    return {
        "": parts[0].strip(),
        **{name: body.strip("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)},
    }


def entries(section: str) -> list[str]:
    """The names that a section describes: its lines that are not indented, up to a colon."""
    lines = [line for line in section.splitlines() if line and not line.startswith(" ")]
    return [name for line in lines for name in line.partition(" : ")[0].split(", ")]


def needed(thing: Any) -> set[str]:
    if inspect.isclass(thing) and (thing in HOLDERS or issubclass(thing, Exception)):
        return {"Notes", "Examples"} | ({"Attributes"} if thing in HOLDERS else set())
    parameters = {"Parameters"} if inspect.signature(thing).parameters else set()
    return parameters | {"Raises", "Notes", "Examples"} | (set() if inspect.isclass(thing) else {"Returns"})


def faults(thing: Any, text: str) -> Iterator[str]:
    """What is missing in the docstring of a function or class."""
    found = sections(text)
    names = [name for name in found if name]
    if missing := sorted(needed(thing) - set(names)):
        yield f"no {', '.join(missing)}"
    if names != [name for name in ORDER if name in names]:
        yield f"sections {names}, in another order than {ORDER}"
    first = text.split("\n\n")[0]
    if "\n" in first or not first.endswith("."):
        yield "the first paragraph is not one sentence on one line"
    if "Parameters" in found:
        shown = [name.lstrip("*") for name in entries(found["Parameters"])]
        if shown != list(inspect.signature(thing).parameters):
            yield f"describes the parameters {shown}"
        if untyped := re.findall(r"^\S[^:]*$", found["Parameters"], flags=re.MULTILINE):
            yield f"parameters without a kind: {untyped}"
    for name in entries(found.get("Raises", "")):
        if not hasattr(builtins, name) and not hasattr(fr, name):
            yield f"raises {name!r}, which is no error"
    if "Notes" in found and "Cost" not in found["Notes"]:
        yield "no cost in the notes"
    if ">>>" in text.partition("\nExamples\n")[0] or ("Examples" in found and ">>>" not in found["Examples"]):
        yield "examples stand under Examples"
    if elsewhere := re.search(r"(as|see) above|this module", text, re.IGNORECASE):
        yield f"cannot be read alone: {elsewhere[0]!r}"


@pytest.mark.parametrize("name", PUBLIC)
def test_public_docstrings(name: str) -> None:
    assert list(faults(PUBLIC[name], inspect.getdoc(PUBLIC[name]) or "")) == []


@pytest.mark.parametrize("room", ["sklearn", "torchmetrics", "torchlens"])
def test_docstrings_of_drop_ins(room: str) -> None:
    module = pytest.importorskip(f"fastrenyi.compat.{room}", exc_type=ImportError)
    for name in module.__all__:
        assert list(faults(getattr(module, name), inspect.getdoc(getattr(module, name)) or "")) == [], name


@pytest.mark.parametrize("name", [name for name, thing in PUBLIC.items() if inspect.isclass(thing)])
def test_public_methods_have_a_docstring(name: str) -> None:
    for key, method in vars(PUBLIC[name]).items():
        if inspect.isfunction(method) and not key.startswith("_"):
            assert (method.__doc__ or "").split("\n\n")[0].rstrip().endswith("."), key


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"Parameters\n-+\n", ""),
        (r"Raises\n------\n", ""),
        (r"Returns\n-------\n(.*\n)+?\n", ""),
        (r"Notes\n-----\n(.*\n)+?\n", ""),
        (r"Examples\n-+\n", ""),
        (r"Cost", "Price"),
        (r"\nbase : float", "\nbasis : float"),
        (r"\nbase : float", "\nbase"),
        (r"\nValueError", "\nValueErrors"),
        (r"\.\n", "\n"),
        (r"Base of", "As above: base of"),
    ],
)
def test_the_checker_can_fail(pattern: str, replacement: str) -> None:
    text = inspect.getdoc(fr.entropy) or ""
    assert list(faults(fr.entropy, text)) == []
    bad = re.sub(pattern, replacement, text, count=1)
    assert bad != text
    assert list(faults(fr.entropy, bad))
