"""Minibatches of prompts, one after the other, each made a piece of numbers and mean tokens: nothing else is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from fastrenyi import _check
from fastrenyi._errors import StoreError
from fastrenyi.kernels import Kernel
from fastrenyi.table.pieces import Piece, Pieces
from fastrenyi.table.prompts import Layer
from fastrenyi.torch.dataset import dataset
from fastrenyi.torch.network.aligned import Aligned, aligned
from fastrenyi.torch.network.batches import fingerprint, place_of
from fastrenyi.torch.network.hidden import Prompts, States, prompts_of
from fastrenyi.torch.network.structure import Choice
from fastrenyi.torch.network.undisturbed import undisturbed
from fastrenyi.torch.prompts import numbers
from fastrenyi.torch.settings import shown

__all__ = ["How", "chosen_by", "known_by", "layers_of", "left_out", "measure"]

Read: TypeAlias = Callable[[Prompts], States]


@dataclass(frozen=True)
class How:
    """What is taken of a minibatch."""

    views: int
    mask: Choice | None
    normalized: bool
    kernel: Kernel
    orders: Sequence[float]

    def prompts(self, batch: Any, place: int) -> list[Prompts]:
        """Return each view of the prompts of a minibatch."""
        name = f"batches[{place}]"
        if self.views == 1:
            return [prompts_of(batch, self.mask, name)]
        if not isinstance(batch, (list, tuple)) or len(batch) != self.views:
            got = f"{len(batch)} items" if isinstance(batch, (list, tuple)) else type(batch).__name__
            _check.kind_error(name, f"a list of {self.views} views of the same prompts", got)
        return [prompts_of(view, self.mask, f"{name}[{number}]") for number, view in enumerate(batch)]


def measure(model: nn.Module, read: Read, batches: Iterable[Any], how: How, pieces: Pieces) -> None:
    """Make a piece of each minibatch that has none yet."""
    seen = 0
    with torch.random.fork_rng(devices=[]):  # what a DataLoader draws to begin with
        for seen, batch in enumerate(batches, 1):
            prompts = how.prompts(batch, seen - 1)
            known = fingerprint([(view.inputs, view.mask) for view in prompts])
            if seen > len(pieces.pieces):
                with undisturbed(model), torch.no_grad():
                    piece = _piece(read, prompts, how)
                pieces.append(known, piece)
            elif pieces.fingerprints[seen - 1] != known:
                raise StoreError(
                    f"store: expected the minibatches that {pieces.path} was begun with, got another one as "
                    f"batches[{seen - 1}]; pass them in the same order, or name another file"
                )
    if not pieces.pieces:
        _check.value_error("batches", "at least one minibatch", "none")
    if seen < len(pieces.pieces):
        raise StoreError(
            f"store: expected all {len(pieces.pieces)} minibatches that {pieces.path} holds, got {seen}; pass these "
            "again, or name another file"
        )
    names = pieces.pieces[0]["layers"].tolist()
    for place, piece in enumerate(pieces.pieces):
        if piece["layers"].tolist() != names:
            got = f"{', '.join(piece['layers'].tolist())} for batches[{place}]"
            _check.value_error("model", f"the same layers for each minibatch, {', '.join(names)}", got)


def _piece(read: Read, prompts: Sequence[Prompts], how: How) -> Piece:
    """Return what is kept of a minibatch: names of layers, numbers (prompts, layers, columns), and mean tokens."""
    rows: list[Tensor] = []
    means: dict[str, list[Tensor]] = {}
    for number, view in enumerate(prompts):
        for name, states in read(view).items():
            found = aligned(states, view.mask)
            _finite(found, view.name, name)
            means.setdefault(name, [])
            if len(means[name]) != number:
                _check.value_error(view.name, f"the layers of the first view, {', '.join(means)}", f"no {name!r} there")
            if number and len(means[name][0]) != len(states):
                expected = f"as many prompts as the first view has, {len(means[name][0])}"
                _check.value_error(view.name, expected, f"{len(states)}", "pass pairs of views of the same prompts")
            taken = found.normalized() if how.normalized else found
            means[name].append(taken.mean())
            if number == 0:
                with _check.telling(f"{view.name}, layer {name!r}", "x"):
                    rows.append(numbers(found, taken, how.kernel, how.orders))
    piece = {"layers": np.array(list(means)), "numbers": torch.stack(rows, 1).cpu().numpy()}
    for depth, (name, vectors) in enumerate(means.items()):
        if len(vectors) != len(prompts):
            _check.value_error(prompts[-1].name, f"the layers of the first view, {', '.join(means)}", f"no {name!r}")
        piece[f"means {depth}"] = torch.stack(vectors, 1).cpu().numpy()
    return piece


def _finite(found: Aligned, name: str, layer: str) -> None:
    wrong = ~found.tokens.isfinite() & found.counts[..., None]
    if bool(wrong.any()):
        prompt, token, feature = (int(place) for place in wrong.nonzero()[0])
        got = f"{float(found.tokens[prompt, token, feature])} in prompt {prompt}, token {token} of those that count"
        _check.value_error(f"{name}, layer {layer!r}", "finite hidden states", got)


def layers_of(pieces: Sequence[Piece], model: nn.Module, kernel: Kernel, orders: Sequence[float]) -> Iterator[Layer]:
    """Yield all that was measured of each layer, of all prompts together too."""
    device = place_of(model).device
    for depth, name in enumerate(pieces[0]["layers"].tolist()):
        vectors = torch.from_numpy(np.concatenate([piece[f"means {depth}"] for piece in pieces]))
        if device is not None and device.type == "cuda":
            vectors = vectors.to(device)
        with _check.telling(f"dataset_kernel, layer {name!r}", "x"):
            found = list(dataset(vectors, kernel, orders))
        rows = np.concatenate([piece["numbers"][:, depth] for piece in pieces])
        yield Layer(name, vectors.shape[-1], rows, found)


def left_out(layers: Sequence[Layer]) -> str | None:
    """Say which prompts have no spread in the first layer that has such; None where all have one."""
    for layer in layers:
        missing = np.flatnonzero(np.isnan(layer.numbers[:, 3]))
        if len(missing):
            return (
                f"in layer {layer.name!r} {len(missing)} of {len(layer.numbers)} prompts have tokens that are all the "
                f"same, as one alone is (the first is prompt {missing[0]}): without a spread, they are left out of "
                "means (n_prompts)"
            )
    return None


def chosen_by(choice: object) -> Any:
    """Return a choice as a store keeps it: of a function its name and its code, by which lambdas differ."""
    code = getattr(choice, "__code__", None)
    if not isinstance(code, CodeType):
        return shown(choice)
    held = [repr(cell.cell_contents) for cell in getattr(choice, "__closure__", None) or ()]
    digest = hashlib.sha256(repr((_parts(code), held)).encode()).hexdigest()
    return f"{shown(choice)} {digest[:16]}"


def _parts(code: CodeType) -> tuple[Any, ...]:
    """What a function does, wherever it stands."""
    constants = [_parts(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return code.co_code, code.co_names, constants


def known_by(model: nn.Module) -> str:
    """Return by what a model is known again: names, shapes, kinds and numbers of its parameters and buffers."""
    named = [(name, tensor.detach()) for name, tensor in (*model.named_parameters(), *model.named_buffers())]
    shapes = json.dumps([(name, str(tensor.dtype), list(tensor.shape)) for name, tensor in named])
    numbers = {name: tensor for name, tensor in named if not tensor.is_meta}
    digest = hashlib.sha256((type(model).__qualname__ + shapes + fingerprint([(numbers, None)])).encode())
    return digest.hexdigest()
