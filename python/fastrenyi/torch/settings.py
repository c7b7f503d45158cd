"""What a ``Monitor`` measures with: its arguments checked, and as a store keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi._call import Alpha
from fastrenyi.bandwidths import BandwidthLike, as_bandwidth
from fastrenyi.kernels import Kernel, KernelLike, Widthed, as_kernel
from fastrenyi.torch.network.capture import Side, side_of
from fastrenyi.torch.network.probe import Loss, default_loss

__all__ = ["Settings", "telling"]


@dataclass(frozen=True)
class Settings:
    """Orders, kernels with their widths, and what is measured besides; ``loss`` is None without errors."""

    orders: list[float]
    kernel: Kernel
    error_kernel: Kernel
    target_kernel: Kernel
    whole: bool
    """Whether a layer has one kernel on its whole tensor, not one for each feature map."""
    activations: Side
    errors_at: Side
    pairs: bool
    max_pairs: int | None
    loss: Loss | None
    null: int
    seed: int
    links: dict[str, str] | None
    on_nan: str
    """Whether a layer that is not finite ends a measurement ("error") or is told in its row ("record")."""
    stored: dict[str, Any]
    """The arguments that change numbers, as JSON can hold them and a later run can compare them."""

    @classmethod
    def accept(
        cls,
        *,
        alpha: Alpha,
        bandwidth: BandwidthLike | None,
        error_bandwidth: BandwidthLike | None,
        kernel: KernelLike,
        kernel_on: str,
        label_kernel: KernelLike,
        activations: Side,
        pairs: bool,
        max_pairs: int | None,
        errors: bool | Side,
        loss: Loss | None,
        null: int,
        seed: int,
        links: Sequence[tuple[str, str]] | None,
        on_nan: str,
        names: Sequence[str],
    ) -> Settings:
        """Check the arguments of a ``Monitor``."""
        orders, _ = _check.orders(alpha)
        if len(set(orders)) < len(orders):
            _check.value_error("alpha", "orders that are different", ", ".join(map(repr, orders)))
        own = as_kernel(kernel)
        takes_width = isinstance(kernel, str) and isinstance(own, Widthed)
        for name, width in (("bandwidth", bandwidth), ("error_bandwidth", error_bandwidth)):
            _check_width(name, width, None if takes_width else own)
        with telling("label_kernel", instead_of="kernel"):
            target_kernel = as_kernel(label_kernel)
        _check.choice(kernel_on, "kernel_on", ("tensor", "maps"))
        side_of(activations, "activations")
        pairs = _check.flag(pairs, "pairs")
        max_pairs = None if max_pairs is None else _check.integer(max_pairs, "max_pairs", 1)
        errors_at = side_of(errors, "errors", "before")
        null, seed = _check.integer(null, "null", 0), _check.integer(seed, "seed", 0)
        if loss is not None and not callable(loss):
            _check.kind_error("loss", "None or a function (output, y) -> scalar tensor", type(loss).__name__)
        return cls(
            orders=orders,
            kernel=as_kernel(kernel, bandwidth),
            error_kernel=as_kernel(kernel, error_bandwidth),
            target_kernel=target_kernel,
            whole=kernel_on == "tensor",
            activations=activations,
            errors_at=errors_at or "before",
            pairs=pairs,
            max_pairs=max_pairs,
            loss=(loss or default_loss) if errors_at else None,
            null=null,
            seed=seed,
            links=None if links is None else _links(links, names),
            on_nan=_check.choice(on_nan, "on_nan", ("error", "record")),
            stored={
                "alpha": orders[0] if len(orders) == 1 else orders,
                "bandwidth": _shown(bandwidth),
                "error_bandwidth": _shown(error_bandwidth),
                "kernel": _shown(kernel),
                "kernel_on": kernel_on,
                "label_kernel": _shown(label_kernel),
                "activations": activations,
                "pairs": pairs,
                "max_pairs": max_pairs,
                "errors": errors_at,
                "loss": _shown(loss),
                "null": null,
                "seed": seed,
                "links": None if links is None else [list(pair) for pair in links],
            },
        )


@contextmanager
def telling(where: str, instead_of: str = "") -> Iterator[None]:
    """Put before an error's message what it is about, in place of an inner argument's name."""
    try:
        yield
    except (TypeError, ValueError, fr.BackendUnavailableError) as error:
        told = str(error).removeprefix(f"{instead_of}: ")
        if instead_of:  # also in the way out: maps.cpu() becomes x.cpu()
            told = told.replace(f" {instead_of}.", f" {where.split()[-1]}.")
        error.args = (f"{where}: {told}", *error.args[1:])
        raise


def _links(links: object, names: Sequence[str]) -> dict[str, str]:
    """Pairs (source, target) of layers as the way to each target; one with two ways to it has none."""
    expected = "a list of pairs (source, target) of names of layers"
    if not isinstance(links, (list, tuple)):
        _check.kind_error("links", expected, type(links).__name__)
    for pair in links:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not all(isinstance(name, str) for name in pair):
            _check.kind_error("links", expected, f"{pair!r} in it")
        for name in pair:
            if name not in names and name.rpartition("#")[0] not in names:
                _check.value_error("links", f"names of layers that are measured, {', '.join(names)}", repr(name))
    pairs = {(source, target) for source, target in links}
    targets = [target for _, target in pairs]
    ways = {target: source for source, target in pairs if targets.count(target) == 1}
    for start in ways:
        seen, name = {start}, ways[start]
        while name in ways and name not in seen:
            seen.add(name)
            name = ways[name]
        if name in seen:
            _check.value_error("links", "pairs that lead from the input on", f"a circle through {name!r}")
    return ways


def _check_width(name: str, width: object, widthless: Kernel | None) -> None:
    """A width where the kernel takes one, and none where it does not; not an array, as layers differ in size."""
    if widthless is not None:
        if width is not None:
            _check.value_error(name, f"None, as {widthless!r} takes no other width", width, f"pass {name}=None")
    elif isinstance(width, (Tensor, np.ndarray)):
        _check.kind_error(name, "one width, or a rule", type(width).__name__)
    elif width is not None:
        with telling(name, instead_of="bandwidth"):
            as_bandwidth(width)


def _shown(setting: object) -> Any:
    """A setting as JSON can hold it and a later run can compare it: no addresses."""
    if setting is None or isinstance(setting, (str, int, float)):
        return setting
    if isinstance(setting, nn.Module) or not callable(setting):
        return repr(setting)
    return f"{setting.__module__}.{getattr(setting, '__qualname__', type(setting).__qualname__)}"
