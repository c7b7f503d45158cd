"""What models take and put out besides one tensor: tuples, mappings and dataclasses of tensors, nested as they like."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from torch import Tensor

from fastrenyi import _check

__all__ = ["Choice", "chosen", "first", "is_choice", "mapped", "tensors"]

Choice: TypeAlias = int | str | Callable[[Any], Any]
"""A part of a structure: its index, its key or field, or a function that gives it."""


def tensors(value: object, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Each tensor in a structure with the way to it, such as ``[0]`` or ``.logits``."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from tensors(item, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from tensors(item, f"{name}[{index}]")
    elif _is_dataclass(value):
        for field in dataclasses.fields(value):  # type: ignore[arg-type]
            yield from tensors(getattr(value, field.name), f"{name}.{field.name}")


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return the same structure with all that is in it, tensors and others, put through a function."""
    if _is_dataclass(value):  # asked first: an output of Hugging Face is a mapping too, which is made anew as this
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(value, **{name: mapped(getattr(value, name), function) for name in fields})
    if isinstance(value, Mapping):
        made: Any = copy.copy(value)
        made.update({key: mapped(item, function) for key, item in value.items()})
        return made
    if isinstance(value, (list, tuple)):
        items = [mapped(item, function) for item in value]
        return value._make(items) if hasattr(value, "_make") else type(value)(items)
    return function(value)


def first(value: object) -> tuple[str, Tensor] | None:
    """Return the first tensor of a structure and the way to it; None where there is none."""
    return next(tensors(value), None)


def is_choice(value: object) -> bool:
    """Whether this can name a part."""
    return (isinstance(value, (int, str)) and not isinstance(value, bool)) or callable(value)


def chosen(value: Any, choice: Choice, argument: str) -> Any:
    """Return the part of a structure that an argument names."""
    if callable(choice):
        return choice(value)
    try:
        if isinstance(value, Tensor):
            raise LookupError  # an index of one would be a sample of it
        if isinstance(choice, str) and not isinstance(value, Mapping):
            return getattr(value, choice)
        return value[choice]
    except (LookupError, AttributeError, TypeError, OverflowError):
        there = ", ".join(name for name, _ in tensors(value) if name) or "one tensor"
        _check.value_error(argument, f"a part of what is there, {there}", _check.quoted(choice))


def _is_dataclass(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
