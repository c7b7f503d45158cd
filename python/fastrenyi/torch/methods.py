"""How a Monitor takes its variables: orders, kernels and widths, one method or several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor

from fastrenyi import _check
from fastrenyi._call import Alpha
from fastrenyi.bandwidths import Alignment, BandwidthLike, Silverman, as_bandwidth
from fastrenyi.kernels import Delta, Kernel, KernelLike, Widthed, as_kernel
from fastrenyi.torch.network.capture import Side, side_of
from fastrenyi.torch.settings import shown

__all__ = ["BINNED", "PAPER", "TENSOR", "Method", "aligned", "methods_of", "passes_of", "stored_of"]

PAPER: dict[str, Any] = {
    "bandwidth": Silverman(5.0),
    "error_bandwidth": Silverman(0.1),
    "kernel_on": "maps",
    "errors": "after",
    "max_pairs": None,
}
"""The settings of the paper, where they are not the defaults: ``Monitor(model, probe, **frt.PAPER)``."""

TENSOR: dict[str, Any] = {"bandwidth": Alignment(), "kernel_on": "tensor", "smooth": 0.9, "softmax": True}
"""Those of tensor kernels after Wickstrom et al., Entropy 25(6):899, 2023: widths aligned with the labels and smoothed
over steps, softmax on what the network puts out. The input's width, of which they do not move on, is aligned as well.
"""

BINNED: dict[str, Any] = {
    "alpha": 1.0,
    "kernel": "delta",
    "bandwidth": None,
    "error_bandwidth": None,
    "kernel_on": "tensor",
    "bins": 30,
}
"""Those of exact discrete information after Lorenzen, Igel and Nielsen, ICLR 2022 (arXiv 2106.12912): a layer's
numbers in bins of equal width, a sample's bins one symbol. For a quantised network ``{**frt.BINNED, "bins": None}``
takes the numbers themselves.
"""


@dataclass(frozen=True)
class Method:
    """What a layer, an error, the input and the target are as variables, and which quantities are taken of them."""

    name: str
    orders: list[float]
    kernel: Kernel
    error_kernel: Kernel
    target_kernel: Kernel
    whole: bool
    """Whether a layer has one kernel on its whole tensor, not one for each feature map."""
    activations: Side
    errors: Side | Literal[False]
    pairs: bool
    max_pairs: int | None
    smooth: float
    """The share of a layer's earlier width in its width, 0 for none."""
    bins: int | None
    softmax: bool
    stored: dict[str, Any]
    """The settings as JSON can hold them and a later run can compare them."""

    def about(self, what: str) -> str:
        """Return words for something that is so by this method."""
        return f"{what}, method {self.name!r}" if self.name else what

    @classmethod
    def accept(
        cls,
        name: str,
        *,
        alpha: Alpha,
        bandwidth: BandwidthLike | None,
        error_bandwidth: BandwidthLike | None,
        kernel: KernelLike,
        label_kernel: KernelLike,
        kernel_on: str,
        activations: Side,
        pairs: bool,
        max_pairs: int | None,
        errors: bool | Side,
        smooth: float,
        bins: int | None,
        softmax: bool,
    ) -> Method:
        """Check the settings of one method."""
        orders, _ = _check.orders(alpha)
        if len(set(orders)) < len(orders):
            _check.value_error("alpha", "orders that are different", ", ".join(map(repr, orders)))
        own = as_kernel(kernel)
        takes_width = isinstance(kernel, str) and isinstance(own, Widthed)
        for argument, width in (("bandwidth", bandwidth), ("error_bandwidth", error_bandwidth)):
            _check_width(argument, width, None if takes_width else own)
        with _check.telling("label_kernel", instead_of="kernel"):
            target_kernel = as_kernel(label_kernel)
        if aligned(target_kernel):
            _check.value_error("label_kernel", "a kernel with a width of its own", target_kernel)
        _check.choice(kernel_on, "kernel_on", ("tensor", "maps"))
        side_of(activations, "activations")
        errors_at = side_of(errors, "errors", "before")
        pairs = _check.flag(pairs, "pairs")
        max_pairs = None if max_pairs is None else _check.integer(max_pairs, "max_pairs", 1)
        return cls(
            name=name,
            orders=orders,
            kernel=as_kernel(kernel, bandwidth),
            error_kernel=as_kernel(kernel, error_bandwidth),
            target_kernel=target_kernel,
            whole=kernel_on == "tensor",
            activations=activations,
            errors=errors_at,
            pairs=pairs,
            max_pairs=max_pairs,
            smooth=_share(smooth, own, kernel_on),
            bins=_number_of_bins(bins, own),
            softmax=_check.flag(softmax, "softmax"),
            stored={
                "alpha": orders[0] if len(orders) == 1 else orders,
                "bandwidth": shown(bandwidth),
                "error_bandwidth": shown(error_bandwidth),
                "kernel": shown(kernel),
                "kernel_on": kernel_on,
                "label_kernel": shown(label_kernel),
                "activations": activations,
                "pairs": pairs,
                "max_pairs": max_pairs,
                "errors": errors_at,
                "smooth": smooth,
                "bins": bins,
                "softmax": softmax,
            },
        )


def methods_of(given: object, own: Mapping[str, Any]) -> list[Method]:
    """Return the methods that are given by what they have in place of a Monitor's own settings, or that of these."""
    alone = Method.accept("", **own)
    if given is None:
        return [alone]
    expected = "a dict from the name of a method to a dict of its settings"
    if not isinstance(given, Mapping):
        _check.kind_error("methods", expected, type(given).__name__)
    if not given:
        _check.value_error("methods", "at least one method", "none")
    found = []
    for name, settings in given.items():
        if not isinstance(name, str) or not isinstance(settings, Mapping):
            _check.kind_error("methods", expected, f"{_check.quoted(settings)} for {name!r}")
        if not name or not name.isprintable() or "/" in name:  # which stands between the parts of a scalar's name
            _check.value_error("methods", "names that can be printed, without a slash", repr(name))
        where = f"methods[{name!r}]"
        if unknown := [setting for setting in settings if setting not in own]:
            _check.value_error(where, f"settings of one method, {', '.join(own)}", ", ".join(map(repr, unknown)))
        with _check.telling(where):
            found.append(Method.accept(name, **{**own, **settings}))
    return found


class Sides(NamedTuple):
    """On which side of activation functions a pass keeps outputs, and errors, if it goes backward."""

    activations: Side
    errors: Side | Literal[False]


def passes_of(methods: Sequence[Method]) -> dict[Sides, list[Method]]:
    """Return the methods by the pass through a network that they share."""
    found: dict[Sides, list[Method]] = {}
    for method in methods:
        found.setdefault(Sides(method.activations, method.errors), []).append(method)
    return found


def stored_of(methods: Sequence[Method]) -> dict[str, Any]:
    """Return their settings, by name where they have one."""
    alone = not methods[0].name
    return methods[0].stored if alone else {"methods": {method.name: method.stored for method in methods}}


def aligned(kernel: Kernel) -> Alignment | None:
    """Return the rule of a kernel whose width is aligned with labels that are yet to come."""
    rule = as_bandwidth(kernel.bandwidth) if isinstance(kernel, Widthed) else None
    return rule if isinstance(rule, Alignment) and rule.target is None else None


def _share(smooth: object, kernel: Kernel, kernel_on: str) -> float:
    share = _check.share(smooth, "smooth")
    if share and not isinstance(kernel, Widthed):
        _check.value_error("smooth", f"0, as {kernel!r} has no width", smooth)
    if share and kernel_on == "maps":
        way_out = "pass kernel_on='tensor'"
        _check.value_error("smooth", "0, as the widths of single maps are not smoothed", smooth, way_out)
    return share


def _number_of_bins(bins: object, kernel: Kernel) -> int | None:
    if bins is None:
        return None
    found = _check.integer(bins, "bins", 2)
    if not isinstance(kernel, Delta):
        way_out = "pass kernel='delta', bandwidth=None, error_bandwidth=None, or all of frt.BINNED"
        _check.value_error("bins", f"None, as bins are symbols, which {kernel!r} is not for", bins, way_out)
    return found


def _check_width(name: str, width: object, widthless: Kernel | None) -> None:
    """A width where the kernel takes one, and none where it does not; not an array, as layers differ in size."""
    if widthless is not None:
        if width is not None:
            _check.value_error(name, f"None, as {widthless!r} takes no other width", width, f"pass {name}=None")
    elif isinstance(width, (Tensor, np.ndarray)):
        _check.kind_error(name, "one width, or a rule", type(width).__name__)
    elif width is not None:
        with _check.telling(name, instead_of="bandwidth"):
            as_bandwidth(width)
