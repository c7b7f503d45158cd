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
from fastrenyi.bandwidths import BandwidthLike, as_bandwidth
from fastrenyi.kernels import Kernel, KernelLike, Widthed, as_kernel
from fastrenyi.torch.probe import Loss, default_loss

__all__ = ["Settings", "telling"]


@dataclass(frozen=True)
class Settings:
    """Order, kernels with their widths, and what is measured besides; ``loss`` is None without errors."""

    alpha: float
    kernel: Kernel
    error_kernel: Kernel
    target_kernel: Kernel
    pairs: bool
    loss: Loss | None
    stored: dict[str, Any]
    """The arguments as JSON can hold them and a later run can compare them."""

    @classmethod
    def accept(
        cls,
        targets: Sequence[Tensor],
        *,
        alpha: float,
        bandwidth: BandwidthLike | None,
        error_bandwidth: BandwidthLike | None,
        kernel: KernelLike,
        label_kernel: KernelLike,
        pairs: bool,
        errors: bool,
        loss: Loss | None,
    ) -> Settings:
        """Check the arguments of a ``Monitor``, for targets y of its minibatches."""
        orders, one = _check.orders(alpha)
        if not one:
            _check.kind_error("alpha", "one order", type(alpha).__name__, "make a Monitor for each")
        own = as_kernel(kernel)
        takes_width = isinstance(kernel, str) and isinstance(own, Widthed)
        for name, width in (("bandwidth", bandwidth), ("error_bandwidth", error_bandwidth)):
            _check_width(name, width, None if takes_width else own)
        with telling("label_kernel", instead_of="kernel"):
            target_kernel = as_kernel(label_kernel)
        for name, flag in (("pairs", pairs), ("errors", errors)):
            if not isinstance(flag, bool):
                _check.kind_error(name, "True or False", type(flag).__name__)
        if loss is not None and not callable(loss):
            _check.kind_error("loss", "None or a function (output, y) -> scalar tensor", type(loss).__name__)
        for y in targets:
            if errors and loss is None and not y.is_floating_point() and y.ndim > 1:
                got = f"None with integer y of shape {tuple(y.shape)}"
                _check.value_error("loss", "a function, or class labels (n,)", got, "pass y.float(), or errors=False")
        return cls(
            alpha=orders[0],
            kernel=as_kernel(kernel, bandwidth),
            error_kernel=as_kernel(kernel, error_bandwidth),
            target_kernel=target_kernel,
            pairs=pairs,
            loss=(loss or default_loss) if errors else None,
            stored={
                "alpha": orders[0],
                "bandwidth": _shown(bandwidth),
                "error_bandwidth": _shown(error_bandwidth),
                "kernel": _shown(kernel),
                "label_kernel": _shown(label_kernel),
                "pairs": pairs,
                "errors": errors,
                "loss": _shown(loss),
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
