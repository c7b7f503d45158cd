"""The types of public signatures, as mypy sees them under ``make check``: a call that it ought to refuse is marked.

A mark that it does not need is an error to it. The calls run as well, so that what it refuses is refused.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

import fastrenyi as fr
import fastrenyi.torch as frt

X: NDArray[np.float64] = np.arange(1.0, 9.0)[:, None] ** 1.5
T: torch.Tensor = torch.from_numpy(X)


def test_arrays_come_back_as_they_went_in() -> None:
    a: NDArray[np.float64] = fr.gram(X)
    b: NDArray[np.float64] = fr.gram(np.arange(8), "delta")
    s: NDArray[np.float64] = fr.mutual_information(a, [a, b], alpha=np.array([1, 2]))
    layer = fr.layer_decomposition(np.stack([a, b]), a)
    mmi: NDArray[np.float64] = layer.mmi
    ranking = fr.rank_maps(np.stack([a, b]), a, redundancy=False)
    relevance: NDArray[np.float64] = ranking.relevance
    redundancy: NDArray[np.float64] | None = ranking.redundancy
    without: NDArray[np.float64] = fr.leave_one_out(np.stack([a, b]), a).without
    groups: NDArray[np.float64] = fr.group_o_information(np.stack([a, b]), 2, a).values
    d: NDArray[np.float64] = fr.divergence(X, X, bandwidth=fr.Median())
    assert s.shape == (2,)
    assert float(mmi) > 0
    assert relevance.shape == without.shape == (2,)
    assert redundancy is None
    assert groups.shape == (1,)
    assert float(d) < 1e-9
    assert fr.normalize(fr.channel_grams(X[:, :, None], fr.Laplacian("scott"))).shape == (1, 8, 8)


def test_tensors_come_back_as_they_went_in() -> None:
    a: torch.Tensor = fr.gram(T, bandwidth=torch.tensor(1.0, dtype=T.dtype))
    joint: torch.Tensor = fr.joint_entropy(a, [a, fr.tensor_gram(T)], alpha=[1, 2.0])
    pairwise: torch.Tensor | None = fr.layer_decomposition(a[None], a, alpha=range(3)).pairwise
    assert joint.shape == (2,)
    assert pairwise is not None
    assert fr.total_correlation(a, a, normalized=True).ndim == 0
    assert fr.spectrum(fr.normalize(a)).shape == (8,)
    assert frt.losses.DistillationLoss(kernel="cosine")(T, T).ndim == 0


def test_mappings_come_back_as_dicts() -> None:
    a: dict[str, NDArray[np.float64]] = fr.channel_grams({"fc": X})
    layers = fr.layer_decomposition(fr.channel_grams({"fc": T}), fr.gram(T))
    mmi: torch.Tensor = layers["fc"].mmi
    assert a["fc"].shape == (1, 8, 8)
    assert mmi.ndim == 0


def test_tables_and_lists_come_back_as_numpy_arrays() -> None:
    table: NDArray[np.float64] = fr.gram(pd.DataFrame(X))
    listed: NDArray[np.float64] = fr.gram(X.tolist())
    labels: NDArray[np.float64] = fr.gram(["a", "b"], "delta")
    assert table.shape == listed.shape == (8, 8)
    assert labels.shape == (2, 2)


def test_what_mypy_refuses() -> None:
    with pytest.raises(TypeError):
        fr.entropy("nonsense")  # type: ignore[type-var]
    with pytest.raises(TypeError):
        fr.gram("nonsense")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="gausian"):
        fr.gram(X, kernel="gausian")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="gausian"):
        fr.divergence(X, X, "gausian")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="silver"):
        fr.Gaussian("silver")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        fr.entropy(fr.gram(X), alpha="inf")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        fr.entropy(fr.gram(X), alpha=[1, "2"])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        fr.Alignment("labels")  # type: ignore[arg-type]
