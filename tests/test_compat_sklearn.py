"""fastrenyi.compat.sklearn: scikit-learn's own checks, its pipelines and searches on real data, and its kernels."""

from __future__ import annotations

import pickle
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
from conftest import Draw, refused

pytest.importorskip("sklearn", minversion="1.6")
from sklearn.base import clone
from sklearn.cluster import SpectralClustering
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import KernelPCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import laplacian_kernel, pairwise_kernels, rbf_kernel
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import estimator_checks_generator

from fastrenyi.compat.sklearn import PairwiseKernel, RenyiMutualInfoSelector, pairwise_kernel

FAST = {"alpha": 2, "random_state": 0}


SELECTORS = [RenyiMutualInfoSelector(), RenyiMutualInfoSelector(1, alpha=2, conditional=False, n_permutations=2)]


@pytest.mark.parametrize(
    ("estimator", "check"),  # not parametrize_with_checks: older ones hand pytest a generator, which it warns of
    [
        pytest.param(estimator, check, id=f"{k}-{check.func.__name__}")
        for k, selector in enumerate(SELECTORS)
        for estimator, check in estimator_checks_generator(selector)
    ],
)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No features were selected", UserWarning)  # of targets that are noise
        check(estimator)


# ------------------------------------------------------------------------------------------------------ selection


def test_each_is_the_one_that_adds_most_to_those_before(draw: Draw) -> None:
    x = draw.samples(40, 5)
    y = (x[:, 1] + x[:, 3] > 0).astype(int)
    selector = RenyiMutualInfoSelector(3).fit(7 * x - 3, y)
    grams, target = fr.channel_grams(scale(x)), fr.gram(y, "delta")
    chosen: list[int] = []
    for rank in (1, 2, 3):
        gains = {
            j: float(
                fr.conditional_mutual_information(grams[j], target, [grams[i] for i in chosen])
                if chosen
                else fr.mutual_information(grams[j], target)
            )
            for j in range(5)
            if j not in chosen
        }
        best = max(gains, key=gains.__getitem__)
        assert selector.ranking_[best] == rank
        assert selector.gains_[rank - 1] == pytest.approx(gains[best], abs=1e-9)
        chosen.append(best)
    assert sorted(selector.get_support(indices=True)) == sorted(chosen)
    np.testing.assert_allclose(selector.scores_, fr.mutual_information(grams, target), atol=1e-9)
    assert (selector.n_features_, selector.n_samples_, selector.null_) == (3, 40, None)


def test_a_copy_is_not_selected_and_alone_it_is(rng: np.random.Generator) -> None:
    y = rng.integers(4, size=200)
    low, high = y % 2, y // 2
    x = np.stack([low, low, high], axis=1) + [0.2, 0.2, 0.4] * rng.normal(size=(200, 3))
    assert RenyiMutualInfoSelector(2).fit(x, y).get_support()[2]
    alone = RenyiMutualInfoSelector(2, conditional=False).fit(x, y)
    assert alone.get_support().tolist() == [True, True, False]
    best = SelectKBest(lambda *_: alone.scores_, k=2).fit(x, y)
    np.testing.assert_array_equal(best.get_support(), alone.get_support())
    np.testing.assert_array_equal(alone.gains_, np.sort(alone.scores_)[::-1][:2])


@pytest.mark.parametrize(
    ("given", "count"), [(None, 3), (1, 1), (np.int64(4), 4), (6, 6), (0.5, 3), (0.01, 1), (1.0, 6)]
)
def test_how_many(given: Any, count: int, draw: Draw) -> None:
    x = draw.samples(20, 6)
    selector = RenyiMutualInfoSelector(given, **FAST).fit(x, x[:, 0] > 0)
    assert selector.n_features_ == selector.get_support().sum() == selector.transform(x).shape[1] == count
    expected = {*range(1, count + 1)} | ({count + 1} if count < 6 else set())
    assert set(selector.ranking_) == expected


def test_permutations_end_it(rng: np.random.Generator) -> None:
    y = rng.integers(4, size=200)
    x = np.stack([y % 2, y % 2, y // 2, *rng.normal(size=(3, 200))], axis=1) + 0.05 * rng.normal(size=(200, 6))
    for conditional in (True, False):
        found = RenyiMutualInfoSelector(6, n_permutations=20, conditional=conditional, **FAST).fit(x, y)
        assert 2 <= found.n_features_ < 6
        assert found.ranking_[2] <= found.n_features_
        assert found.null_.relevance.null.shape == (20, 6)
    few = RenyiMutualInfoSelector(1, n_permutations=20, **FAST).fit(x, y)
    assert few.n_features_ == 1
    noise = RenyiMutualInfoSelector(3, n_permutations=3, **FAST).fit(np.zeros((200, 3)), y)
    with pytest.warns(UserWarning, match="No features were selected"):
        assert noise.transform(x[:, :3]).shape == (200, 0)


def test_targets(draw: Draw) -> None:
    x = draw.samples(60, 4)
    number = x[:, 2] + 0.1 * draw.rng.normal(size=60)
    kind = np.where(x[:, 1] > 0, "high", "low")
    fit = partial(RenyiMutualInfoSelector, 1, **FAST)
    for kinds in (kind, kind.astype(object), kind == "high", (kind == "high") * 2.0):
        np.testing.assert_array_equal(fit().fit(x, kinds).ranking_, [2, 1, 2, 2])
    np.testing.assert_array_equal(fit().fit(x, number).ranking_, [2, 2, 1, 2])
    np.testing.assert_allclose(fit().fit(x, 100 * number[:, None]).scores_, fit().fit(x, number).scores_, atol=1e-9)
    whole = np.round(5 * number).astype(int)
    as_numbers, as_classes = fit(target="regression").fit(x, whole), fit(target="classif").fit(x, whole)
    assert as_numbers.ranking_[2] == 1
    assert (as_numbers.scores_ != as_classes.scores_).all()
    both = RenyiMutualInfoSelector(2, **FAST).fit(x, np.stack([x[:, 0], x[:, 3]], 1))
    assert both.get_support().tolist() == [True, False, False, True]
    labels = np.stack([x[:, 0] > 0, x[:, 3] > 0], 1).astype(int)
    assert RenyiMutualInfoSelector(2, **FAST).fit(x, labels).get_support().tolist() == [True, False, False, True]


def test_kernels_and_widths(draw: Draw) -> None:
    x = draw.rng.integers(3, size=(50, 4))
    y = x[:, 1]
    delta = RenyiMutualInfoSelector(1, kernel="delta", alpha=1).fit(x, y)
    share = np.bincount(y) / 50
    assert delta.scores_[1] == pytest.approx(-(share * np.log2(share)).sum(), abs=1e-9)
    a, b, c = (
        RenyiMutualInfoSelector(1, kernel=kernel, bandwidth=width).fit(x, y).scores_
        for kernel, width in [("gaussian", 0.5), (fr.Gaussian(0.5), None), ("laplacian", 0.5)]
    )
    np.testing.assert_array_equal(a, b)
    assert (a != c).all()
    grams = fr.channel_grams(scale(x), bandwidth=0.5)
    np.testing.assert_allclose(a, fr.mutual_information(grams, fr.gram(y, "delta")), atol=1e-9)


def test_a_sample_of_many_rows() -> None:
    x, y = load_digits(return_X_y=True)
    fit = partial(RenyiMutualInfoSelector, 5, alpha=2)
    one, same, other = (fit(max_samples=100, random_state=seed).fit(x, y) for seed in (0, 0, 1))
    assert one.n_samples_ == 100
    np.testing.assert_array_equal(one.scores_, same.scores_)
    assert (one.scores_ != other.scores_).any()
    # Of classes by their shares: one of 1 in 90 rows is there.
    rare = np.repeat([0, 1], [1780, 17])
    target = RenyiMutualInfoSelector(1, kernel="delta", max_samples=100, **FAST).fit(rare[:, None], rare)
    assert target.scores_[0] > 0.01
    every = fit(max_samples=None).fit(x[:150], y[:150])
    assert every.n_samples_ == 150


@pytest.mark.parametrize("scale", [1e-200, 1e155, 1e160])
def test_columns_of_any_scale(scale: float, draw: Draw) -> None:
    x, y = draw.samples(30, 3), np.arange(30) % 3
    x[:, 1] += y
    usual, other = (RenyiMutualInfoSelector(1, alpha=2).fit(x * factor, y) for factor in ([1, 1, 1], [1, scale, 1]))
    np.testing.assert_allclose(other.scores_, usual.scores_, rtol=1e-6)


def test_names_frames_and_the_way_back() -> None:
    pd = pytest.importorskip("pandas")
    frame, y = load_wine(return_X_y=True, as_frame=True)
    selector = RenyiMutualInfoSelector(3, **FAST).set_output(transform="pandas").fit(frame, y)
    found = selector.transform(frame)
    assert isinstance(found, pd.DataFrame)
    names = list(frame.columns[selector.get_support()])
    assert list(found.columns) == list(selector.get_feature_names_out()) == names
    assert list(selector.feature_names_in_) == list(frame.columns)
    back = selector.inverse_transform(found.to_numpy())
    np.testing.assert_array_equal(back[:, selector.get_support()], found)
    assert (back[:, ~selector.get_support()] == 0).all()
    copy = pickle.loads(pickle.dumps(selector))
    np.testing.assert_array_equal(copy.transform(frame), found)
    with pytest.raises(NotFittedError):
        clone(selector).get_support()


@pytest.mark.parametrize(("load", "features"), [(load_wine, 2), (load_breast_cancer, 2), (load_digits, 5)])
def test_fewer_features_than_selectkbest_needs(load: Any, features: int) -> None:
    """What each feature adds counts, not what it says: few features classify better than those selected one by one."""
    x, y = load(return_X_y=True)
    scores = [
        cross_val_score(make_pipeline(selector, StandardScaler(), KNeighborsClassifier()), x, y, cv=3).mean()
        for selector in (
            RenyiMutualInfoSelector(features, **FAST),
            SelectKBest(partial(mutual_info_classif, random_state=0), k=features),
        )
    ]
    assert scores[0] > scores[1]


def test_in_a_search_over_settings() -> None:
    x, y = load_wine(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), RenyiMutualInfoSelector(kernel=fr.Gaussian(1.0), **FAST), SVC())
    settings = {
        "renyimutualinfoselector__n_features_to_select": [1, 6],
        "renyimutualinfoselector__kernel__bandwidth": [0.5, "median"],
        "svc__kernel": [fr.Gaussian(2.0), "rbf"],
    }
    search = GridSearchCV(pipeline, settings, cv=3).fit(x, y)
    assert search.best_params_["renyimutualinfoselector__n_features_to_select"] == 6
    assert search.best_score_ > 0.94
    assert "RenyiMutualInfoSelector" in repr(search)


def test_numbers_as_targets() -> None:
    """Of diabetes, body mass index and a serum measure come first, as in every study of it."""
    data = load_diabetes()
    selector = RenyiMutualInfoSelector(2, target="regression", **FAST).fit(data.data, data.target)
    assert set(np.array(data.feature_names)[selector.get_support()]) == {"bmi", "s5"}


def test_wrong_settings(draw: Draw) -> None:
    x = draw.samples(20, 3)
    y = x[:, 0] > 0

    def fit(**settings: Any) -> Any:
        return RenyiMutualInfoSelector(**settings).fit(x, y)

    for name, values in {
        "n_features_to_select": [0, -1, 4, 0.0, 1.5, float("nan")],
        "alpha": [-1, float("nan")],
        "kernel": ["gausian"],
        "bandwidth": [0, -1.0, "silver"],
        "target": ["class"],
        "n_permutations": [-1],
        "max_samples": [1, -5],
    }.items():
        for value in values:
            refused(ValueError, name, lambda name=name, value=value: fit(**{name: value}))
    for name, values in {
        "n_features_to_select": ["3", True, [1]],
        "alpha": ["2", [1, 2], None],
        "kernel": [3, RBF(1.0)],
        "bandwidth": [[1.0]],
        "target": [None, 1],
        "conditional": ["yes", 1],
        "n_permutations": [None, 2.0],
        "max_samples": ["all", 20.0],
    }.items():
        for value in values:
            refused(TypeError, name, lambda name=name, value=value: fit(**{name: value}))
    with pytest.raises(ValueError, match="cannot be used to seed"):
        fit(random_state="zero")
    with pytest.raises(ValueError, match="y"):
        RenyiMutualInfoSelector().fit(x, None)
    with pytest.raises(ValueError, match="Unknown label type"):
        RenyiMutualInfoSelector(target="classif").fit(x, x[:, 0])
    with pytest.raises(ValueError, match="NaN"):
        RenyiMutualInfoSelector().fit(np.where(x > 1, np.nan, x), y)


# -------------------------------------------------------------------------------------------------------- kernels


def test_kernel_matrices_are_scikit_learns(draw: Draw) -> None:
    x, y = draw.samples(9, 3), draw.samples(5, 3)
    for given in (None, y):
        for found, expected in [
            (pairwise_kernel(x, given, bandwidth=2.0), rbf_kernel(x, given, gamma=1 / 8)),
            (pairwise_kernel(x, given, fr.Gaussian(2.0)), rbf_kernel(x, given, gamma=1 / 8)),
            (pairwise_kernel(x, given, "laplacian", 2.0), laplacian_kernel(x, given, gamma=0.5)),
            (pairwise_kernel(x, given, "polynomial"), pairwise_kernels(x, given, "poly")),
            (pairwise_kernel(x, given, "cosine"), pairwise_kernels(x, given, "cosine")),
        ]:
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(
        pairwise_kernel([[0], [1]], bandwidth=1.0), fr.Gaussian(1.0)(np.array([[0.0], [1.0]]))
    )
    refused(ValueError, "kernel", lambda: pairwise_kernel(x, None, "rbf"))  # type: ignore[arg-type]
    refused(ValueError, "bandwidth", lambda: pairwise_kernel(x, None, "cosine", 1.0))
    with pytest.raises(ValueError, match="Incompatible dimension"):
        pairwise_kernel(x, y[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        pairwise_kernel(x * np.nan)


def test_a_kernel_is_called_once_with_all_samples(monkeypatch: pytest.MonkeyPatch, draw: Draw) -> None:
    x = draw.samples(30, 3)
    kernel, gamma = PairwiseKernel(fr.Gaussian(2.0)), 1 / 8
    calls: list[Any] = []
    whole = PairwiseKernel.__call__
    monkeypatch.setattr(PairwiseKernel, "__call__", lambda *a, **o: calls.append(a) or whole(*a, **o))
    for ours, theirs in [
        (KernelPCA(2, kernel=kernel), KernelPCA(2, kernel="rbf", gamma=gamma)),
        (Nystroem(kernel, n_components=9, random_state=0), Nystroem(gamma=gamma, n_components=9, random_state=0)),
    ]:
        found, expected = (abs(one.fit(x).transform(x[:7])) for one in (ours, theirs))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        KernelRidge(kernel=kernel).fit(x, x[:, 0]).predict(x[:7]),
        KernelRidge(kernel="rbf", gamma=gamma).fit(x, x[:, 0]).predict(x[:7]),
        atol=1e-9,
    )
    np.testing.assert_array_equal(
        SpectralClustering(2, affinity=kernel, random_state=0).fit_predict(x),
        SpectralClustering(2, gamma=gamma, random_state=0).fit_predict(x),
    )
    assert len(calls) == 7
    precomputed = KernelPCA(2, kernel="precomputed").fit_transform(fr.Gaussian(2.0)(x))
    np.testing.assert_allclose(abs(precomputed), abs(KernelPCA(2, kernel=kernel).fit_transform(x)), atol=1e-9)


def test_gaussian_processes_fit_a_width(draw: Draw) -> None:
    x = draw.samples(30, 1)
    y = np.sin(2 * x[:, 0]) + 0.1 * draw.rng.normal(size=30)
    ours, theirs = (
        GaussianProcessRegressor(kernel + WhiteKernel(0.01, "fixed")).fit(x, y)
        for kernel in (PairwiseKernel("gaussian", 1.0), RBF(1.0))
    )
    np.testing.assert_allclose(ours.kernel_.theta, theirs.kernel_.theta, atol=1e-4)
    assert ours.log_marginal_likelihood_value_ == pytest.approx(theirs.log_marginal_likelihood_value_, abs=1e-6)
    for a, b in zip(ours.predict(x[:5], return_std=True), theirs.predict(x[:5], return_std=True), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    rule = GaussianProcessRegressor(PairwiseKernel(fr.Gaussian("median")) + WhiteKernel(0.01, "fixed")).fit(x, y)
    assert rule.kernel_.theta.shape == (0,)
    assert rule.score(x, y) > 0.9


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_gradients_of_kernels(kernel: Any, draw: Draw) -> None:
    x = np.concatenate([draw.samples(6, 2), 1e3 + draw.samples(1, 2)])
    one = PairwiseKernel(kernel, 1.3)
    matrix, slope = one(x, eval_gradient=True)
    step = 1e-6
    above, below = (one.clone_with_theta(one.theta + s)(x) for s in (step, -step))
    np.testing.assert_array_equal(matrix, one(x))
    np.testing.assert_allclose(slope[..., 0], (above - below) / (2 * step), atol=1e-8)
    assert np.isfinite(slope).all()


def test_what_a_kernel_says_of_itself(draw: Draw) -> None:
    x = draw.samples(6, 3)
    for kernel in (PairwiseKernel("gaussian", 2.0), PairwiseKernel("polynomial"), PairwiseKernel(fr.Linear("samples"))):
        np.testing.assert_allclose(kernel.diag(x), kernel(x).diagonal(), atol=1e-12)
    assert PairwiseKernel("delta").is_stationary()
    assert not PairwiseKernel("polynomial").is_stationary()
    fixed = PairwiseKernel("gaussian", 2.0, "fixed")
    assert fixed(x, eval_gradient=True)[1].shape == (6, 6, 0)
    assert (
        fixed.theta.size == PairwiseKernel("cosine").theta.size == PairwiseKernel("gaussian", "median").theta.size == 0
    )
    assert clone(fixed) == fixed != PairwiseKernel("gaussian", 3.0, "fixed")
    np.testing.assert_allclose(PairwiseKernel(bandwidth=2.0, bandwidth_bounds=(1, 10)).bounds, np.log([[1, 10]]))
    assert repr(PairwiseKernel("gaussian", 2.0)) == "PairwiseKernel('gaussian', 2.0)"
    refused(ValueError, "Y", lambda: fixed(x, x, eval_gradient=True))
    refused(ValueError, "bandwidth", lambda: PairwiseKernel("cosine", 1.0)(x))
    refused(TypeError, "kernel", lambda: PairwiseKernel(RBF())(x))  # type: ignore[arg-type]
