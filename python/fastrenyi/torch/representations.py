"""The hidden states of a model on a stream of prompts, as one table of measures by layer."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from contextlib import closing
from importlib import metadata
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor, nn

from fastrenyi import _check
from fastrenyi._call import Alpha
from fastrenyi.kernels import KernelLike, Linear, as_kernel
from fastrenyi.table.pieces import Pieces
from fastrenyi.table.prompts import Layer, by_layer, by_prompt
from fastrenyi.table.store import path_of
from fastrenyi.torch.network.hidden import reader
from fastrenyi.torch.network.select import Layers, unwrapped, whole
from fastrenyi.torch.network.select import select as choose
from fastrenyi.torch.network.structure import Choice, is_choice
from fastrenyi.torch.progress import bar_of_tqdm
from fastrenyi.torch.streaming import How, chosen_by, known_by, layers_of, left_out, measure

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["measured", "representations"]

_KERNEL = Linear("samples", normalized=True)


def representations(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    alpha: Alpha = 1,
    base: float = 2,
    kernel: KernelLike = _KERNEL,
    dataset_kernel: KernelLike | None = None,
    tokens: Literal["raw", "normalized"] = "raw",
    layers: Layers = None,
    select: Mapping[str, Choice] | None = None,
    output: Choice | None = None,
    mask: Choice | None = None,
    views: int = 1,
    by: Literal["layer", "prompt"] = "layer",
    store: str | PathLike[str] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Return how much the hidden states of a model's layers hold of prompts, as a table by layer.

    For each layer: the entropies of the tokens of a prompt, as means over prompts; those of the prompts' mean tokens;
    and, of two views of each prompt, how well these are told.

    Parameters
    ----------
    model : torch.nn.Module
        Called on each minibatch in eval mode, without gradients; its modes, buffers and the random states are put back.
        One of Hugging Face is told to put out its hidden states.
    batches : iterable
        Minibatches of prompts, such as a DataLoader: what the model is called with, a mapping of named arguments as a
        tokenizer gives (without its "labels"), one tensor, or a tuple of arguments. They are moved to the model's
        device. With ``views`` of two or more, a list of that many, each of the same prompts.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 1, Shannon's, is the published one.
    base : float
        Base of the logarithm of entropies; 2 gives bits, ``math.e`` nats, as published.
    kernel : str or Kernel
        Of tokens. The default is the published one: centred over the tokens of a prompt, and then of length one.
    dataset_kernel : str or Kernel, optional
        Of mean tokens; the same unless given.
    tokens : {"raw", "normalized"}
        What mean tokens and curvature are taken of: hidden states as they are, or less the mean token of their prompt
        and of length one, as the released harness takes them (with ``dataset_kernel="linear"``).
    layers, select : optional
        Layers whose outputs are measured, and what of them, as in ``capture``; unless given, what the model puts out.
    output : int, str or callable, optional
        Where in the model's output the hidden states are: an index, a key or field, or a function of the output that
        returns them, a list or a mapping of tensors (prompts, tokens, d), for double precision
        ``lambda found: [h.double() for h in found.hidden_states]``. Default: its ``hidden_states``, or itself.
    mask : int, str or callable, optional
        Where in a minibatch the mask (prompts, tokens) is, or a function of the minibatch that returns it: ones for
        tokens that count. Default: "attention_mask" of a mapping that has it; else all tokens count.
    views : int
        How many views of each prompt a minibatch has. Prompts are measured in the first one.
    by : {"layer", "prompt"}
        A row for each layer and measure, or for each prompt, layer and measure (those of single prompts).
    store : path, optional
        A file of SQLite that is written to minibatch by minibatch. A later call with the same model, settings and
        minibatches goes on behind the last one that is whole.
    progress : bool
        Show a bar of tqdm.

    Returns
    -------
    pandas.DataFrame
        Columns depth, layer, measure, alpha (NaN where there is no order), value, standard_error and n_prompts. The
        error is s / sqrt(n_prompts) over prompts, NaN of what is of all prompts together. With ``by="prompt"`` columns
        prompt, depth, layer, measure, alpha and value. Measures:

        - tokens: how many count.
        - prompt_entropy: S_alpha of the Gram of a prompt's n tokens of d features; with _by_log_n, _by_log_d,
          _by_log_min, _by_log_n_log_d over log n, log d, log min(n, d), and, in nats, log n log d.
        - effective_rank: exp of the mean of S_alpha in nats, as Diff-eRank has it; of one prompt exp S_alpha.
        - participation_ratio: of the covariance of a prompt's tokens.
        - curvature: of the path of tokens, in radians.
        - dataset_entropy, with the same divisions, dataset_effective_rank, dataset_participation_ratio: the same of
          the mean tokens of all prompts. rank_me: RankMe of them.
        - lidar: of two views or more; dime, infonce: of two, on mean tokens.

    Raises
    ------
    TypeError
        For arguments of other kinds, a model without hidden states, and masks that are no tensors.
    ValueError
        Naming minibatch, layer and prompt: for prompts without tokens, NaN or infinity, states that do not have the
        tokens of the mask, and views of different numbers of prompts; for settings out of range and no minibatches.
    StoreError
        For a store of another model, of other settings or minibatches, damaged, or in use.

    Notes
    -----
    A prompt of one token, or of tokens that are all the same, has no spread: its entropies are NaN (centred, nothing is
    left of it, and of less than nothing rounding would make any entropy), and means are of the other prompts, whose
    number is n_prompts; a warning says so. An entropy over log n of one vector, and the curvature of two, are NaN too,
    and where the mean tokens of all prompts are the same what is of all together, but RankMe, which is near one then.

    Nothing of a minibatch stays in memory but its numbers and, of each layer, prompt and view, the mean token. Cost of
    a prompt and layer O(n d m + m^3), m the smaller of n and d; of a layer the same with n prompts, dime O(10 n^3).
    Computed in the precision of the states, at least single; what is of all prompts in double.

    The released harness of Skean et al. sets negative products of tokens to zero before it takes the spectrum, and
    takes the curvature of absolute cosines: neither is done here. Source: Skean et al., arXiv 2502.02013; Wei et al.
    (Diff-eRank), NeurIPS 2024; Garrido et al. (RankMe), arXiv 2210.02885.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> class Model(torch.nn.Module):
    ...     def forward(self, input_ids, attention_mask):
    ...         one = torch.nn.functional.one_hot(input_ids, 8).double()
    ...         return {"embeddings": one, "sums": one.cumsum(1)}
    >>> batch = {"input_ids": torch.tensor([[0, 1, 2, 3], [4, 5, 0, 0]]), "attention_mask": torch.ones(2, 4)}
    >>> batch["attention_mask"][1, 2:] = 0
    >>> table = frt.representations(Model(), [batch])
    >>> table[table.measure == "prompt_entropy"][["layer", "value", "n_prompts"]].round(4)
             layer   value  n_prompts
    1   embeddings  0.7925          2
    18        sums  0.6761          2
    """
    _check.choice(by, "by", ("layer", "prompt"))
    _check.unit(base)
    orders, _ = _check.orders(alpha)
    found = measured(
        model, batches, alpha=alpha, kernel=kernel, dataset_kernel=dataset_kernel, tokens=tokens, layers=layers,
        select=select, output=output, mask=mask, views=views, store=store, progress=progress,
    )  # fmt: skip
    if (missing := left_out(found)) is not None:
        warnings.warn(f"representations: {missing}", stacklevel=2)
    return (by_layer if by == "layer" else by_prompt)(found, orders, base)


def measured(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    alpha: Alpha = 1,
    kernel: KernelLike = _KERNEL,
    dataset_kernel: KernelLike | None = None,
    tokens: str = "raw",
    layers: Layers = None,
    select: Mapping[str, Choice] | None = None,
    output: Choice | None = None,
    mask: Choice | None = None,
    views: int = 1,
    store: str | PathLike[str] | None = None,
    progress: bool = False,
) -> list[Layer]:
    """Return what ``representations`` makes a table of."""
    inside = unwrapped(model)
    whole(model)
    orders, _ = _check.orders(alpha)
    of_tokens = as_kernel(kernel)
    of_dataset = of_tokens if dataset_kernel is None else as_kernel(dataset_kernel)
    _check.choice(tokens, "tokens", ("raw", "normalized"))
    how = How(_check.integer(views, "views", 1), mask, tokens == "normalized", of_tokens, orders)
    if mask is not None and not is_choice(mask):
        _check.kind_error("mask", "None, an index, a key or a function", type(mask).__name__)
    if isinstance(batches, (Tensor, np.ndarray, Mapping, str)) or not isinstance(batches, Iterable):
        _check.kind_error("batches", "an iterable of minibatches", type(batches).__name__, "pass [batch]")
    read = reader(model, layers, select, output)
    if _check.flag(progress, "progress"):
        batches = bar_of_tqdm()(batches, desc="representations", unit="batch")
    settings = {
        "model": known_by(inside),
        "layers": None if layers is None else list(choose(model, layers).values()),
        "select": {name: chosen_by(choice) for name, choice in (select or {}).items()},
        "output": chosen_by(output),
        "mask": chosen_by(mask),
        "alpha": orders,
        "kernel": repr(of_tokens),
        "tokens": tokens,
        "views": how.views,
        "version": metadata.version("fastrenyi"),
    }
    with closing(Pieces(path_of(store), settings)) as pieces:
        measure(model, read, batches, how, pieces)
    return list(layers_of(pieces.pieces, inside, of_dataset, orders))
