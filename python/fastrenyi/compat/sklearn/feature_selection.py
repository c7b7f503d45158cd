"""Selection of features by what each adds, to those selected before it, about the target."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, resample
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi._array import Values
from fastrenyi.bandwidths import BandwidthLike
from fastrenyi.kernels import KernelLike

__all__ = ["RenyiMutualInfoSelector"]


class RenyiMutualInfoSelector(SelectorMixin, BaseEstimator):  # type: ignore[misc]
    """Select features by forward selection: next the one of largest I(y; x_j | S), S being those selected before it.

    A feature that repeats what is selected adds nothing, and is not selected, however much it says alone; that is what
    ``SelectKBest(mutual_info_classif)`` does not see. Informations are matrix-based Renyi informations, in bits.

    Parameters
    ----------
    n_features_to_select : int or float, optional
        How many features, or which share of them in (0, 1]; half of them unless given.
    alpha : float
        Order in [0, inf]; the default is close to Shannon. Order 2 needs no spectra: many times faster.
    kernel : str or Kernel
        Of each feature, and of a target of numbers: "gaussian", "laplacian", "delta" for features that are categories,
        or a kernel such as ``fastrenyi.Gaussian(0.5)``.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width, in standard deviations of the feature: features and targets of numbers are standardised
        before. None is the kernel's own, by default ``fastrenyi.Silverman(5.0)``.
    target : {"auto", "classif", "regression"}
        Whether y are classes, the same or others (the Delta kernel), or numbers. "auto" is what
        ``sklearn.utils.multiclass.type_of_target`` says: whole numbers are classes, also where they are floats.
    conditional : bool
        False selects the features of largest I(y; x_j), each alone.
    n_permutations : int
        Above 0: end where a feature adds no more than in any of so many permutations of its samples, also before
        n_features_to_select. Where not even the first does, no feature is selected.
    max_samples : int, optional
        Measure on a random sample of so many rows, of classes by their shares, where there are more. None takes all.
    random_state : int, RandomState or None
        Of this sample and of the permutations.

    Attributes
    ----------
    scores_ : array
        (n_features_in_,): I(y; x_j) of each feature alone.
    ranking_ : array of integers
        (n_features_in_,): 1 for the feature selected first, 2 for the second, ...; all that were never looked for share
        the last rank.
    gains_ : array
        What the features of ranks 1, 2, ... added: I(y; x_j | S).
    null_ : RankingNull or None
        scores and gains beside those of permuted samples; None without permutations.
    n_features_ : int
        How many features are selected.
    n_samples_ : int
        How many rows were measured.
    n_features_in_, feature_names_in_ : int and array
        As of all of scikit-learn's estimators.

    Raises
    ------
    TypeError, ValueError
        From ``fit``, for settings out of their ranges and for X and y that scikit-learn refuses.

    Notes
    -----
    Cost: a Gram of n x n for each of C features, in memory at once (256 rows: half a MB each), and two spectra of
    O(n^3) for each feature left at each step, all candidates of a step in one call. ``max_samples`` bounds both. The
    joint entropy of many features comes near log2 n, where nothing can be added: more rows, or wider kernels, tell more
    features apart, and the permutations say where it ends.
    Source: Yu, Sanchez Giraldo, Jenssen, Principe, IEEE TPAMI 42(11), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrenyi.compat.sklearn import RenyiMutualInfoSelector
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(4, size=200)
    >>> low, high = y % 2, y // 2
    >>> X = np.stack([low, low, rng.normal(size=200), high], axis=1) + 0.3 * rng.normal(size=(200, 4))
    >>> selector = RenyiMutualInfoSelector(2).fit(X, y)
    >>> selector.get_support(), selector.ranking_  # not the copy, which says as much alone
    (array([ True, False, False,  True]), array([1, 3, 3, 2]))
    """

    def __init__(
        self,
        n_features_to_select: float | None = None,
        *,
        alpha: float = 1.01,
        kernel: KernelLike = "gaussian",
        bandwidth: BandwidthLike | None = None,
        target: Literal["auto", "classif", "regression"] = "auto",
        conditional: bool = True,
        n_permutations: int = 0,
        max_samples: int | None = 256,
        random_state: Any = None,
    ) -> None:
        """Keep the settings, which ``fit`` checks."""
        self.n_features_to_select = n_features_to_select
        self.alpha = alpha
        self.kernel = kernel
        self.bandwidth = bandwidth
        self.target = target
        self.conditional = conditional
        self.n_permutations = n_permutations
        self.max_samples = max_samples
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> RenyiMutualInfoSelector:
        """Select features of X (n, n_features) for the target y, (n,) or (n, outputs)."""
        conditional = _check.flag(self.conditional, "conditional")
        permutations = _check.integer(self.n_permutations, "n_permutations", 0)
        rows = None if self.max_samples is None else _check.integer(self.max_samples, "max_samples", 2)
        X, y = validate_data(self, X, y, multi_output=True, ensure_min_samples=2)
        count = self._wanted(X.shape[1])
        random = check_random_state(self.random_state)

        classes = self._classes(y)
        codes = np.unique(y, return_inverse=True)[1].reshape(y.shape) if classes else None
        if rows is not None and len(X) > rows:
            every = np.arange(len(X))
            some = resample(every, replace=False, n_samples=rows, random_state=random, stratify=codes)
            X, y, codes = X[some], y[some], None if codes is None else codes[some]
        if codes is None:
            target = fr.gram(_standardised(y.reshape(len(y), -1)), self.kernel, self.bandwidth)
        else:
            target = fr.gram(codes, "delta")
        found = fr.rank_maps(
            fr.channel_grams(_standardised(X), self.kernel, self.bandwidth),
            target,
            self.alpha,
            max_maps=count if conditional else 1,
            null=permutations or None,
            seed=random.randint(2**31 - 1),
            redundancy=False,
        )
        if conditional:
            order, gains, above = found.order, found.gain, int(found.informative)
        else:
            order = np.argsort(-found.relevance, kind="stable")[:count]
            gains, above = found.relevance[order], count
            if found.null is not None:
                larger = np.all(found.null.relevance.null < found.relevance, axis=0)
                above = int(larger[order].cumprod().sum())
        self.scores_, self.gains_, self.null_ = found.relevance, gains, found.null
        self.ranking_ = np.full(X.shape[1], count + 1)
        self.ranking_[order] = np.arange(1, count + 1)
        self.n_features_ = min(count, above) if permutations else count
        self.n_samples_ = len(X)
        return self

    def _wanted(self, features: int) -> int:
        """Return how many of so many features are to be selected."""
        given = self.n_features_to_select
        if given is None:
            return max(1, features // 2)
        if isinstance(given, (float, np.floating)):
            if not 0 < given <= 1:
                _check.value_error("n_features_to_select", "a share in (0, 1], or an integer", given)
            return max(1, int(features * given))
        count = _check.integer(given, "n_features_to_select", 1)
        if count > features:
            _check.value_error("n_features_to_select", f"no more than the {features} features of X", count)
        return count

    def _classes(self, y: Values) -> bool:
        """Whether targets are classes, by the setting or by what they look like."""
        target = _check.choice(self.target, "target", ("auto", "classif", "regression"))
        if target == "regression" or (target == "auto" and type_of_target(y).startswith("continuous")):
            return False
        check_classification_targets(y)
        return True

    def _get_support_mask(self) -> Values:
        check_is_fitted(self)
        selected: Values = self.ranking_ <= self.n_features_
        return selected

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks to know: y is needed, of one or more outputs."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def _standardised(x: Values) -> Values:
    """Return columns of mean zero and standard deviation one, in double precision; constant ones are zero."""
    wide = x.astype(np.float64)
    largest = np.abs(wide).max(0)
    wide /= np.where(largest > 0, largest, 1.0)  # so that no square leaves the range
    scaled: Values = StandardScaler().fit_transform(wide)
    return scaled
