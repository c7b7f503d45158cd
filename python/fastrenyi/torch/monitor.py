"""Measure, at steps of a training, what the layers of a network know of its input, its target and its errors."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from fastrenyi import _check
from fastrenyi._call import Alpha
from fastrenyi.bandwidths import BandwidthLike, Median
from fastrenyi.kernels import KernelLike
from fastrenyi.table.columns import table
from fastrenyi.table.database import Pairs
from fastrenyi.table.store import Store, path_of
from fastrenyi.table.tidy import accept_config
from fastrenyi.torch.measurement import Measurement
from fastrenyi.torch.methods import methods_of, stored_of
from fastrenyi.torch.network.batches import accept, fingerprint
from fastrenyi.torch.network.capture import Side
from fastrenyi.torch.network.probe import Loss
from fastrenyi.torch.network.reading import Reading
from fastrenyi.torch.network.select import Layers, unwrapped, whole
from fastrenyi.torch.network.select import select as choose
from fastrenyi.torch.network.structure import Choice
from fastrenyi.torch.pace import Pace
from fastrenyi.torch.progress import Progress, bar_of_tqdm
from fastrenyi.torch.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Monitor"]

_WIDTH = Median()


class Monitor:
    """Measure the layers of a network on fixed minibatches at chosen steps of its training, and keep the table.

    For layer T = {T_1..T_C} (feature maps), input X, target Y and errors delta: S(T), I(X;T), I(T;Y), the
    redundancy-synergy trade-off and the non-redundant information of its maps about X, each also as a share of
    I(X;{T_1..T_C}), and I(delta_K;delta_i), where delta_i is the gradient of the loss with respect to the layer's
    pre-activation and K the last layer. Each information comes with its null: what it is where the samples of one side
    are permuted. What a layer knows is the excess over that.

    Parameters
    ----------
    model : torch.nn.Module
        Measured in eval mode. Afterwards everything is as before: the mode of each submodule, parameters, their
        `.grad` and `requires_grad`, the values of buffers, and the random state of torch, NumPy and Python.
        Only what the model's own forward does to other things stays: to parameters, to plain attributes, to a
        buffer that it makes, removes or gives another size, such as a cache. A compiled or DataParallel model is
        measured without its wrapper.
    probe : iterable of minibatches
        A list or a DataLoader, read to its end (a few minibatches are enough: ``itertools.islice(loader, 2)``). A
        minibatch of n >= 2 samples (100 after the authors' code) on the model's device is a pair (x, y), tensors or
        NumPy arrays:

        - x is what the model is called with: one tensor (n, ...), a tuple of arguments, or a dict of named ones.
        - y holds class labels (n,), masks of classes (n, ...), several labels of zeros and ones (n, labels), floating
          targets (n, ...), or is None: then `mi_target` is left out, and without a `loss` of its own `mi_error`.

        A dict alone, as Hugging Face collates it, is x with y under "labels". Copied, and cast and moved as the model
        is later.
    layers : optional
        As in `capture`. Layers that are not called, or put out another number of samples, have no rows; a warning names
        them. An output of three axes or more is feature maps, each a variable, along `channel_dim`; one (n, d) or (n,)
        is one variable.
    store : path or None
        A file of SQLite, such as "run.db", which takes the rows of each measurement whole, on the disk before `measure`
        returns. One that is there is continued, if its settings (the data of `probe`, and all arguments that numbers
        depend on) are the same. One process at a time measures into it, from its first measurement until it ends or
        calls `close`; others may read. ``fastrenyi report`` makes figures of it, ``fastrenyi export run.db
        run.parquet`` a table for other programs. None keeps the table in memory only.
    alpha : float or sequence of float
        Order of the entropies, in [0, inf], or several different ones: each has its rows, of one forward pass and of
        the same spectra.
    bandwidth, error_bandwidth : float, str or Bandwidth, optional
        Kernel width for input and layers, and for errors: a number, or a rule as in `fastrenyi.gram`; the median
        distance unless given. Both have to be None where `kernel` is not "gaussian" or "laplacian".
    kernel, label_kernel : str or Kernel
        Of input, layers and errors; of y. For floating targets that do not repeat, and for masks, take
        ``label_kernel="gaussian"``. To a kernel of real numbers, integers are categories: the squared distance of two
        samples is twice the number of places at which their tokens differ.
    kernel_on : "tensor" or "maps"
        What a layer of feature maps is as one variable: one kernel on the whole tensor, or, as in the paper, the
        product of one for each map. Trade-off and non-redundant information are always of maps.
    activations : "after" or "before"
        Whether a convolution or linear layer is measured after its activation function or before, as in `capture`.
    pairs : bool
        False leaves out trade-off and non-redundant information (NaN).
    max_pairs : int or None
        Of a layer with more pairs of maps (C(C-1)/2 of C maps: 1,000 are those of 45), measure so many at random, the
        same at each step and minibatch; the table has their number and the standard errors. None measures all pairs,
        nearly all of the cost of wide layers.
    errors : bool, "before" or "after"
        Whether errors are gradients with respect to what a layer puts out before (True) or after its activation
        function. False leaves out `mi_error` (NaN), and the backward pass.
    smooth : float
        The share, in [0, 1), of the width that a layer had at the last step before this one in its width now; the rest
        is what `bandwidth` finds. 0.9 after Wickstrom et al. The widths are the column bandwidth of the table, on each
        minibatch its own, and a run that is resumed goes on from them. Needs ``kernel_on="tensor"``. Pairs of maps and
        errors have what the rules find.
    bins : int, optional
        With ``kernel="delta"``: a layer's numbers, and its errors', are put into so many bins of equal width over their
        range in the minibatch, and all bins of a sample are one symbol. At order 1 the entropies are Shannon's and the
        informations exact ones of the symbols: I(X;T) = S(T), where no two inputs are equal. They end at log2 n, where
        each sample is a symbol of its own (the column saturated), and then say nothing of the layer.
    softmax : bool
        Measure the probabilities in place of what the network puts out, by softmax over the features of the layer that
        it comes from; of errors nothing changes. Part of the column activation.
    methods : dict from name to dict, optional
        Several methods side by side, each by what it has in place of the settings above from `alpha` to `softmax`, such
        as ``{"default": {}, "paper": frt.PAPER, "tensor": frt.TENSOR, "binned": frt.BINNED}``. Those that have the same
        `activations` and `errors` share passes through the network. The column method says which one a row is of.
    loss : callable (output, y) -> scalar tensor, optional
        The loss whose gradients are the errors; a sum over samples, so that a sample's error does not depend on the
        size of the minibatch. Default: squared error for floating y; for integers cross entropy, classes along the
        axis of the output that y does not have (-100 is left out), or binary cross entropy for zeros and ones in the
        output's shape; all summed, where the model puts out several tensors of its `logits`.
    null : int
        Permutations for the null of each information, at most two of them for quantities of pairs; 0 leaves the
        null out (NaN).
    seed : int
        Of the permutations, the same at each step, layer and minibatch, and of the samples of pairs.
    links : list of (source, target), optional
        Pairs of layers where all that the target gets of the input has come through the source, in place of those that
        are found in autograd's graph and tried by exchanging samples, which takes several passes at each step.
    input : str, int or callable, optional
        Which of several inputs is X: its name, its place, or a function of x that gives it, of real numbers or of
        tokens (int64, int32). Default: the model's first argument.
    output : str, int or callable, optional
        Which part of the model's output the loss is given: its name, its place, or a function. Default: all of it.
    select : dict from layer to str, int or callable, optional
        As in `capture`: which tensor stands for a layer that puts out several. Default: the first.
    batch_dim : int
        The axis of samples in x: 1 for models that take time first. Where it is in a layer's output is seen from its
        size, and, where that leaves doubt, by exchanging samples.
    channel_dim : int or dict from layer to int, optional
        The axis of a layer's output whose entries are the variables. Default, by the module: 1 for convolutions and
        their normalisations; the last for linear, recurrent and attention layers, embeddings and layer normalisations,
        so that of (n, tokens, d) it is d features and with 1 as many variables as tokens; for other modules what all
        modules in them agree on, or else 1.
    on_nan : "error" or "record"
        What becomes of a layer whose outputs or errors are not all finite, as where a training diverges: an error, by
        which all of the step is lost, or NaN in its rows, with the column not_finite saying what was not ("output",
        "error"), beside the rows of the others.
    existing : "error", "skip" or "replace"
        What `measure` does with a step that is in the table already, as where a script is run again on its own store:
        it refuses; it returns the rows that are there and does not touch the model; or it measures, and puts the new
        rows in the place of the old ones.
    progress : bool
        Show, as `measure` goes on, a bar of tqdm: the layer, its pairs of maps and the time left. It moves with each
        layer.
    every : int or "auto"
        At which steps `due` says that it is time to measure: multiples of a number, or as often as `share` allows.
    share : float
        With ``every="auto"``, the part of the time that measurements may take, above 0 and below 1: after one of c
        seconds the next is due when c (1/share - 1) seconds have passed, 19 c by default.
    config : mapping, optional
        What is to be known of the run beside its numbers, such as ``{"seed": 3, "lr": 0.1}``: numbers, strings or None.
        It stands in `settings` and the store, and `tidy` makes columns of it.
    keep_pairs : bool
        Keep what each two maps of a layer say of the input, for `pairs` and the heat maps of a report: matrices of
        8 C^2 bytes for each layer, step, minibatch, method and order, in the store with the rows. Only of layers of
        which all pairs are measured, so that `max_pairs` bounds them too: by default those of up to 45 maps. It may
        change where a store is continued.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    StoreError
        An OSError and a ValueError, for a `store` that cannot be used, or that another process measures into.
    BackendUnavailableError
        For a probe on a device that is not served.
    ImportError
        If pandas is missing (``pip install 'fastrenyi[report]'``), or tqdm with ``progress=True``.

    Notes
    -----
    Warns once of a layer whose entropy is above 0.98 or under 0.02 of log2 n, to whose kernel all samples are apart or
    the same, and of targets that are nearly all different under ``label_kernel``.

    ``Monitor(model, probe, **frt.PAPER)`` has the paper's settings, `frt.TENSOR` those of tensor kernels with aligned
    widths, `frt.BINNED` those of exact discrete information, for comparison. The defaults are farthest above the null
    in units of its error and break chains little where these must hold, see docs/choosing-a-width.md.

    Threads that share a Monitor, or a store, are served in turn. Ctrl-C within `measure` drops what it has measured of
    that step, and says so.

    Cost of a measurement, for each minibatch and layer: Grams O(C n^2 d), and with p pairs 4 (C + p) spectra of O(n^3),
    half of them for the null; without pairs 2 null + O(1). Activations are measured in their own dtype, half
    precision in float32. A thousand pairs, the default, leave standard errors of 0.02 bits at most in a VGG-16 before
    training, and take 0.1 s a layer of float64 (two processor cores), where all pairs of 512 maps take 15 s; four times
    as many halve the error.
    Source: Yu, Wickstrom, Jenssen, Principe, IEEE TNNLS 32(1), 2021 (arXiv 1804.06537).

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
        probe: Iterable[Any],
        layers: Layers = None,
        store: str | os.PathLike[str] | None = None,
        *,
        alpha: Alpha = 1.01,
        bandwidth: BandwidthLike | None = _WIDTH,
        error_bandwidth: BandwidthLike | None = _WIDTH,
        kernel: KernelLike = "gaussian",
        label_kernel: KernelLike = "delta",
        kernel_on: Literal["tensor", "maps"] = "tensor",
        activations: Side = "after",
        pairs: bool = True,
        max_pairs: int | None = 1000,
        errors: bool | Side = True,
        smooth: float = 0.0,
        bins: int | None = None,
        softmax: bool = False,
        methods: Mapping[str, Mapping[str, Any]] | None = None,
        loss: Loss | None = None,
        null: int = 10,
        seed: int = 0,
        links: Sequence[tuple[str, str]] | None = None,
        input: Choice | None = None,
        output: Choice | None = None,
        select: Mapping[str, Choice] | None = None,
        batch_dim: int = 0,
        channel_dim: int | Mapping[str, int] | None = None,
        on_nan: Literal["error", "record"] = "error",
        existing: Literal["error", "skip", "replace"] = "error",
        progress: bool = False,
        every: int | Literal["auto"] = "auto",
        share: float = 0.05,
        config: Mapping[str, Any] | None = None,
        keep_pairs: bool = False,
    ) -> None:
        """Check the arguments, make the Grams of the probes, and open the store."""
        _need_pandas()
        # Without a wrapper: what DataParallel and torch.compile add speeds up training, and disturbs here.
        self._model = unwrapped(model)
        whole(self._model)
        batches = accept(probe)
        names = list(choose(self._model, layers).values())
        reading = Reading.accept(
            names,
            layers=layers,
            input=input,
            output=output,
            select=select,
            batch_dim=batch_dim,
            channel_dim=channel_dim,
        )
        path = path_of(store)
        chosen = methods_of(
            methods,
            {
                "alpha": alpha,
                "bandwidth": bandwidth,
                "error_bandwidth": error_bandwidth,
                "kernel": kernel,
                "label_kernel": label_kernel,
                "kernel_on": kernel_on,
                "activations": activations,
                "pairs": pairs,
                "max_pairs": max_pairs,
                "errors": errors,
                "smooth": smooth,
                "bins": bins,
                "softmax": softmax,
            },
        )
        settings = Settings.accept(
            loss=loss, null=null, seed=seed, links=links, on_nan=on_nan, keep_pairs=keep_pairs, names=names
        )
        if keep_pairs and not any(method.pairs for method in chosen):
            _check.value_error("keep_pairs", "False, as no pairs are measured", keep_pairs, "pass pairs=True")
        self._existing = _check.choice(existing, "existing", ("error", "skip", "replace"))
        self._progress = _check.flag(progress, "progress")
        if self._progress:
            bar_of_tqdm()
        self._pace = Pace(every, share)
        about = {} if config is None else {"config": accept_config(config)}

        self._measurement = Measurement(self._model, reading, batches, names, chosen, settings)
        stored = {
            "version": version("fastrenyi"),
            "layers": names,
            **stored_of(chosen),
            **settings.stored,
            **reading.stored,
            "probe_sizes": self._measurement.sizes,
            "probe_hash": fingerprint(batches),
            **about,
        }
        self._store = Store(path, stored)

    def __repr__(self) -> str:
        """What is measured and how, and how far it has come."""
        names = ("layers", "probe_sizes", "alpha", "pairs", "errors", "methods")
        shown = {name: self.settings[name] for name in names if name in self.settings}
        # Of long lists the beginning.
        parts = [f"{name}={reprlib.repr(value)}" for name, value in {**shown, "steps": self.steps}.items()]
        if self._store.path is not None:
            parts.append(f"store={str(self._store.path)!r}")
        return f"{type(self).__name__}({', '.join([type(self._model).__name__, *parts])})"

    @property
    def steps(self) -> list[int]:
        """The steps measured so far, ascending, those of a continued store among them."""
        return self._store.steps

    @property
    def settings(self) -> dict[str, Any]:
        """What the measurements were made with, as it stands in the store."""
        return dict(self._store.settings)

    @property
    def existing(self) -> str:
        """What `measure` does with a step that is in the table already."""
        return self._existing

    def frame(self) -> pd.DataFrame:
        """All rows measured so far, sorted by step, batch, depth, method and alpha: one row for each.

        Columns: step, batch (index in `probe`), layer, part (the tensor that was measured, such as "[0]", where it puts
        out several), depth (0, 1, ... in the order of execution), method (its name, "" for one alone), alpha (the
        order), channels (1 for an output that is no feature maps), channel_dim (their axis in the layer's output, -1
        for none), samples n, activation (the function behind which the layer was kept, "" for its own output),
        input_via and error_via (the layer through which all that this one gets of the input, or all of its error, has
        come, "" where there is none); bandwidth, the width of a layer's one kernel (NaN where each map has its own, or
        a kernel has none); in bits input_entropy S(X), target_entropy S(Y), entropy S(T), mi_input I(X;T), mi_target
        I(T;Y), mi_error I(delta_K;delta_i), tradeoff and nonredundant, each of these five with mean and standard
        deviation of its null (such as mi_input_null and mi_input_null_std); tradeoff_share and nonredundant_share
        (shares of 1); pairs, how many pairs of maps these are means over, and tradeoff_standard_error and
        nonredundant_standard_error, how far in bits from those over all pairs (0 where these are all, NaN for a sample
        of one); saturated, where S(T) > 0.98 log2 n, and dead, where it is under 1e-4 bits; not_finite, what of the
        layer was not finite and so is NaN: "output", "error", or the error of the last layer, "" where nothing was;
        permutations and pair_permutations of the nulls. NaN where a quantity does not apply: pair quantities of one
        channel, shares of a dead layer, mi_error of the last layer itself and of layers that the loss does not depend
        on.
        """
        return self._store.frame.copy()

    def pairs(self, step: int | None = None) -> pd.DataFrame:
        """What each two feature maps of a layer know of the input together, of one step or of all, where it is kept.

        The columns step, batch, layer, method, alpha and pairwise, arrays (C, C) in bits, are those of
        `fastrenyi.table.pairs`. No rows where the Monitor was made without ``keep_pairs=True``, and of layers with more
        pairs than `max_pairs`. A store's are read from the file each time.
        """
        return self._store.pairs(None if step is None else _check.integer(step, "step", 0))

    def due(self, step: int) -> bool:
        """Whether it is time to measure: ``if monitor.due(step): monitor.measure(step)`` in a loop of one's own.

        With a number for `every`, at its multiples. With "auto", where the last measurement is paid for: the time
        since has been long enough for it to be no more than its `share` of both. So at the first step asked for, then
        by the clock: of a longer or slower training as large a part, but at other steps in each run. Runs whose steps
        are to be compared, such as seeds, take a number. Whatever happens between two measurements counts as training,
        and the last one of a run is paid for by nothing.
        """
        return self._pace.due(_check.integer(step, "step", 0))

    def measure(self, step: int) -> pd.DataFrame:
        """Measure all layers on all probe minibatches, add the rows to the table and return them.

        `step` is an integer >= 0; of one that is in the table already, the argument `existing` of the Monitor says what
        is done. An error that the measures raise, such as for activations that are not finite with ``on_nan="error"``,
        says the layer, the step and the minibatch.
        """
        step = _check.integer(step, "step", 0)
        with self._store.writing():
            again = step in self.steps
            if again and self._existing == "error":
                way_out = "see Monitor.steps, or make the Monitor with existing='skip' or existing='replace'"
                _check.value_error("step", "one that is not in the table yet", step, way_out)
            if again and self._existing == "skip":
                frame = self._store.frame
                return frame[frame["step"] == step].reset_index(drop=True)
            try:
                with self._pace.spending():
                    smooth = any(method.smooth for method in self._measurement.methods)
                    earlier = self._store.last_before(step, "bandwidth") if smooth else {}
                    with Progress(self._progress, step, len(self._measurement.sizes)) as progress:
                        rows = list(self._measurement.rows(step, earlier, progress))
                    measured = table(rows)
                    self._store.append(measured, instead_of=step if again else None, kept=_kept(rows))
            except KeyboardInterrupt:
                what = f"was dropped whole; Monitor.measure({step}) measures it again"
                if step in self.steps:
                    what = "is there whole, as it was or as measured now" if again else "was kept whole"
                raise KeyboardInterrupt(f"step {step} {what}") from None
        return measured

    def close(self) -> None:
        """Let other processes measure into the store; a further measurement here takes it again."""
        self._store.close()

    def __enter__(self) -> Monitor:
        """Nothing is done: the store is taken by the first measurement."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _kept(rows: Sequence[Mapping[str, Any]]) -> list[Pairs]:
    """Return what rows have of single pairs of maps."""
    return [
        (row["step"], row["batch"], row["layer"], row["method"], row["alpha"], row["pairwise"])
        for row in rows
        if "pairwise" in row
    ]


def _need_pandas() -> None:
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise ImportError(f"Monitor needs pandas: pip install 'fastrenyi[report]' ({error})") from error
