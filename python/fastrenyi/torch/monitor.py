"""Measure, at steps of a training, what the layers of a network know of its input, its target and its errors."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi.bandwidths import BandwidthLike, Silverman
from fastrenyi.kernels import Delta, Kernel, KernelLike
from fastrenyi.table.store import Store, table
from fastrenyi.torch.capture import Activations, Layers, network, select
from fastrenyi.torch.probe import Loss, accept, fingerprint, run
from fastrenyi.torch.settings import Settings, telling

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Monitor"]

_NAN = float("nan")
_WIDTH = Silverman(5.0)
_ERROR_WIDTH = Silverman(0.1)


class Monitor:
    """Measure the layers of a network on fixed minibatches at chosen steps of its training, and keep the table.

    For layer T = {T_1..T_C} (one variable per feature map), input X, target Y and errors delta: S(T), I(X;T),
    I(T;Y), the redundancy-synergy trade-off and the non-redundant information of its maps about X, each also as a
    share of I(X;T), and I(delta_K;delta_i), where delta_i is the gradient of the loss with respect to the layer's
    output and K the last layer.

    Parameters
    ----------
    model : torch.nn.Module
        Measured in eval mode. Afterwards everything is as before: the mode of each submodule, parameters, their
        `.grad` and `requires_grad`, the values of buffers, and the random state of torch, NumPy and Python.
        Only what the model's own forward does to other things stays: to parameters, to plain attributes, to a
        buffer that it makes, removes or gives another size, such as a cache. A compiled or DataParallel model is
        measured without its wrapper.
    probe : list of (x, y)
        Minibatches to measure on, of n >= 2 samples each (100 after the authors' code), on the model's device. x
        is a floating tensor (n, ...) of the dtype that the model takes; y holds class labels (n,), integers, or
        floating targets (n, ...). Copied.
    layers : optional
        As in `capture`. An output (n, C, *spatial) is C feature maps, each a variable; an output (n, d) or (n,) is
        one variable.
    store : path or None
        A Parquet file that takes the table after each measurement, replaced whole, never half-written. One that
        is there is continued, if its settings (all arguments but model, and the data of `probe`) are the same;
        they are in the metadata of its schema under the key ``fastrenyi``, as JSON. None keeps the table in
        memory only.
    alpha : float
        Order of the entropies, in [0, inf].
    bandwidth, error_bandwidth : float, str or Bandwidth, optional
        Kernel width for input and layers, and for errors: a number, or a rule as in `fastrenyi.gram`. Both None
        where `kernel` is not "gaussian" or "laplacian".
    kernel, label_kernel : str or Kernel
        Of input, layers and errors; of y. For floating targets that do not repeat, take
        ``label_kernel="gaussian"``.
    pairs : bool
        False leaves out trade-off and non-redundant information (NaN), nearly all of the cost of wide layers.
    errors : bool
        False leaves out `mi_error` (NaN), and the backward pass.
    loss : callable (output, y) -> scalar tensor, optional
        The loss whose gradients are the errors; a sum over samples, so that a sample's error does not depend on the
        size of the minibatch. Default: cross entropy for integer y, squared error for floating y, summed.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    BackendUnavailableError
        For a probe on a device that is not served.
    ImportError
        If pandas is missing, or pyarrow where a store is given (``pip install 'fastrenyi[report]'``).

    Notes
    -----
    Cost of a measurement, for each minibatch and layer: Grams O(C n^2 d), and C(C+1) + O(1) spectra of O(n^3), with
    pairs=False only O(1). Activations are measured in their own dtype, half precision in float32. Source: Yu,
    Wickstrom, Jenssen, Principe, IEEE TNNLS 32(1), 2021 (arXiv 1804.06537).

    Examples
    --------
    >>> import torch
    >>> import fastrenyi.torch as frt
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    ... )
    >>> probe = [(torch.randn(20, 1, 8, 8), torch.arange(20) % 3) for _ in range(2)]
    >>> monitor = frt.Monitor(model, probe)
    >>> rows = monitor.measure(step=0)
    >>> rows[["step", "batch", "layer", "depth", "channels"]]
       step  batch layer  depth  channels
    0     0      0     0      0         4
    1     0      0     3      1         1
    2     0      1     0      0         4
    3     0      1     3      1         1
    >>> bool((rows.mi_input <= 4.33).all()), monitor.steps  # bits; S(X) is at most log2 20
    (True, [0])
    """

    def __init__(
        self,
        model: nn.Module,
        probe: Sequence[tuple[Tensor, Tensor]],
        layers: Layers = None,
        store: str | os.PathLike[str] | None = None,
        *,
        alpha: float = 1.01,
        bandwidth: BandwidthLike | None = _WIDTH,
        error_bandwidth: BandwidthLike | None = _ERROR_WIDTH,
        kernel: KernelLike = "gaussian",
        label_kernel: KernelLike = "delta",
        pairs: bool = True,
        errors: bool = True,
        loss: Loss | None = None,
    ) -> None:
        """Check the arguments, make the Grams of the probes, and open the store."""
        _need_pandas(parquet=store is not None)
        # Without a wrapper: what DataParallel and torch.compile add speeds up training, and disturbs here.
        self._model = network(model)
        self._batches = accept(probe)
        names = list(select(self._model, layers).values())
        self._layers = layers
        path = _path(store)
        self._settings = Settings.accept(
            [y for _, y in self._batches],
            alpha=alpha,
            bandwidth=bandwidth,
            error_bandwidth=error_bandwidth,
            kernel=kernel,
            label_kernel=label_kernel,
            pairs=pairs,
            errors=errors,
            loss=loss,
        )

        # The Grams of x and y, the same throughout the training. In float64, from which they go down to a layer's
        # dtype: the way up would keep the rounding of the trace.
        self._inputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        for index, (x, y) in enumerate(self._batches):
            with telling(f"probe[{index}]: x", instead_of="maps"):
                self._inputs.append(fr.tensor_gram(x.double(), self._settings.kernel))
            with telling(f"probe[{index}]: y", instead_of="maps"):
                self._targets.append(_target_gram(y, self._settings.target_kernel))
        stored = {
            "version": version("fastrenyi"),
            "layers": names,
            "activations": layers is None,
            **self._settings.stored,
            "probe_sizes": [len(x) for x, _ in self._batches],
            "probe_hash": fingerprint(self._batches),
        }
        self._store = Store(path, stored)

    def __repr__(self) -> str:
        """What is measured and how, and how far it has come."""
        shown = {name: self.settings[name] for name in ("layers", "probe_sizes", "alpha", "pairs", "errors")}
        # Of long lists the beginning.
        parts = [f"{name}={reprlib.repr(value)}" for name, value in {**shown, "steps": self.steps}.items()]
        if self._store.path is not None:
            parts.append(f"store={str(self._store.path)!r}")
        return f"{type(self).__name__}({', '.join([type(self._model).__name__, *parts])})"

    @property
    def steps(self) -> list[int]:
        """The steps measured so far, ascending, those of a continued store among them."""
        return sorted({int(step) for step in self._store.frame["step"]})

    @property
    def settings(self) -> dict[str, Any]:
        """What the measurements were made with, as it stands in the store."""
        return dict(self._store.settings)

    def frame(self) -> pd.DataFrame:
        """All rows measured so far, sorted by step, batch and depth.

        Columns: step, batch (index in `probe`), layer, depth (0, 1, ... in the order of execution), channels
        (1 for an output that is no feature maps), and in bits entropy S(T), mi_input I(X;T), mi_target I(T;Y),
        tradeoff, nonredundant, tradeoff_share and nonredundant_share (shares of 1), mi_error I(delta_K;delta_i).
        NaN where a quantity does not apply: pair quantities of one channel, mi_error of the last layer itself and
        of layers that the loss does not depend on.
        """
        return self._store.frame.copy()

    def measure(self, step: int) -> pd.DataFrame:
        """Measure all layers on all probe minibatches, add the rows to the table and return them.

        `step` is an integer >= 0 that is not in the table yet (ValueError otherwise). An error that the measures
        raise, such as for activations that are not finite, says the layer, the step and the minibatch.
        """
        step = _check.integer(step, "step", 0)
        if step in self.steps:
            _check.value_error("step", "one that is not in the table yet", step, "see Monitor.steps")
        rows: list[dict[str, Any]] = []
        for batch in range(len(self._batches)):
            where = f"step {step}, probe[{batch}]"
            with telling(where):
                acts = run(self._model, self._layers, self._batches[batch], self._settings.loss)
            for row in self._forward(batch, acts, where):
                rows.append({"step": step, "batch": batch, **row})
            known = self._backward(acts.gradients, list(acts), where)
            for row in rows[-len(acts) :]:
                row["mi_error"] = known.get(row["layer"], _NAN)
        measured = table(rows)
        self._store.append(measured)
        return measured

    def _forward(self, batch: int, acts: Activations, where: str) -> Iterator[dict[str, Any]]:
        """What the layers know of the input and of the target."""
        for depth, (name, output) in enumerate(acts.items()):
            with telling(f"layer {name!r}, {where}"):
                maps = _grams(output, self._settings.kernel)
                x, y = self._inputs[batch].to(maps), self._targets[batch].to(maps)
                known = fr.layer_decomposition(maps, x, self._settings.alpha, pairs=self._settings.pairs)
                mi_target = fr.mutual_information(list(maps), y, alpha=self._settings.alpha)
            yield {
                "layer": name,
                "depth": depth,
                "channels": len(maps),
                "entropy": float(known.entropy),
                "mi_input": float(known.mmi),
                "mi_target": float(mi_target),
                "tradeoff": float(known.tradeoff),
                "nonredundant": float(known.nonredundant),
                "tradeoff_share": float(known.tradeoff_share),
                "nonredundant_share": float(known.nonredundant_share),
            }

    def _backward(self, deltas: dict[str, Tensor], order: list[str], where: str) -> dict[str, float]:
        """I(delta_K; delta_i) of the layers that the loss depends on, K the last of them."""
        reached = [name for name in order if name in deltas]
        known: dict[str, float] = {}
        last: list[Tensor] = []
        for name in reversed(reached):
            with telling(f"error of layer {name!r}, {where}"):
                error = list(_grams(deltas[name].to(deltas[reached[-1]]), self._settings.error_kernel))
                if last:
                    known[name] = float(fr.mutual_information(last, error, alpha=self._settings.alpha))
                else:
                    last = error
        return known


def _grams(output: Tensor, kernel: Kernel) -> Tensor:
    """The Grams (C, n, n) of a layer's variables: its feature maps, or itself where it is vectors."""
    if output.dtype in (torch.float16, torch.bfloat16):
        output = output.float()  # in half precision the Grams themselves would be rounded to it
    grams: Tensor = fr.tensor_gram(output, kernel)[None] if output.ndim < 3 else fr.channel_grams(output, kernel)
    return grams


def _target_gram(y: Tensor, kernel: Kernel) -> Tensor:
    if y.is_floating_point():
        y = y.double()
    elif isinstance(kernel, Delta):
        kernel = replace(kernel, dtype="float64")
    else:
        way_out = "pass y.float(), or label_kernel='delta'"
        _check.kind_error("maps", f"real numbers with the label_kernel {kernel!r}", f"dtype {y.dtype}", way_out)
    gram: Tensor = fr.tensor_gram(y, kernel)
    return gram


def _path(store: object) -> Path | None:
    if store is None:
        return None
    if not isinstance(store, (str, os.PathLike)):
        _check.kind_error("store", "the path of a file, or None", type(store).__name__)
    path = os.fspath(store)
    if not isinstance(path, str) or not path:
        _check.value_error("store", "the path of a file, or None", repr(path))
    return Path(path)


def _need_pandas(*, parquet: bool) -> None:
    needed = "pandas"
    try:
        import pandas  # noqa: F401

        if parquet:
            needed = "pyarrow for its store"
            import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ImportError(f"Monitor needs {needed}: pip install 'fastrenyi[report]' ({error})") from error
