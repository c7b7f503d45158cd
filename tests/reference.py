"""The quantities of fastrenyi formula by formula: plain NumPy, slow, meant to be read rather than run often.

Everything here works on one sample or one Gram at a time (`over_batch` adds leading axes) and returns
float64. Distances and entropies are summed in ``np.longdouble``, so that this file is not the less exact
side of a comparison. It imports nothing of fastrenyi. Entropies are in bits unless ``base`` says otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Variable = Any  # a Gram (n, n), or a list or tuple of Grams: one joint variable

WIDE = np.longdouble


def over_batch(function: Callable[..., Any], *arrays: ArrayLike, core: int = 2, **options: Any) -> Array:
    """Apply `function` to each item of the leading axes; the last `core` axes of each array are the item."""
    first, *rest = [np.asarray(array) for array in arrays]
    batch = first.shape[: first.ndim - core]
    items = [function(first[index], *(other[index] for other in rest), **options) for index in np.ndindex(*batch)]
    if not items:
        n = first.shape[first.ndim - core]
        return np.empty((*batch, n, n))
    return np.stack([np.asarray(item) for item in items]).reshape(batch + np.shape(items[0]))


# ------------------------------------------------------------------------------------------- distances


def distances(x: ArrayLike, metric: str = "euclidean") -> Any:
    """(n, d) -> (n, n) longdouble: sqrt(sum_k (x_ik - x_jk)^2), or sum_k |x_ik - x_jk|, from differences."""
    samples = np.asarray(x).astype(WIDE)
    n = samples.shape[0]
    result = np.zeros((n, n), dtype=WIDE)
    for i in range(n):
        difference = np.abs(samples - samples[i])
        if metric == "euclidean":
            result[i] = np.sqrt(np.sum(difference * difference, axis=1))
        elif metric == "manhattan":
            result[i] = np.sum(difference, axis=1)
        else:
            raise ValueError(f"metric: {metric!r}")
    return result


def pair_distances(x: ArrayLike, metric: str = "euclidean") -> Any:
    """The n (n - 1) / 2 distances of the pairs i < j."""
    full = distances(x, metric)
    return full[np.triu_indices(full.shape[0], k=1)]


# ----------------------------------------------------------------------------------------------- Grams


def normalised(kernel: Any) -> Array:
    """A_ij = K_ij / (n sqrt(K_ii K_jj))."""
    diagonal = np.sqrt(np.diag(kernel))
    result = kernel / diagonal[:, None] / diagonal[None, :] / WIDE(kernel.shape[0])
    return result.astype(np.float64)


def normalize(kernel: ArrayLike) -> Array:
    """A_ij = K_ij / (n sqrt(K_ii K_jj)) of a kernel matrix."""
    return normalised(np.asarray(kernel).astype(WIDE))


def gram_gaussian(x: ArrayLike, sigma: float) -> Array:
    """exp(-|x - y|^2 / (2 sigma^2)) / n; at sigma = 0 its narrow limit: 1 / n for equal rows, else 0."""
    d = distances(x, "euclidean")
    if sigma == 0:
        return gram_delta(x)
    ratio = d / WIDE(sigma)
    return normalised(np.exp(-ratio * ratio / 2))


def gram_laplacian(x: ArrayLike, sigma: float) -> Array:
    """exp(-|x - y|_1 / sigma) / n; at sigma = 0 the narrow limit."""
    if sigma == 0:
        return gram_delta(x)
    return normalised(np.exp(-distances(x, "manhattan") / WIDE(sigma)))


def gram_cosine(x: ArrayLike) -> Array:
    """<x, y> / (|x| |y|) / n."""
    samples = np.asarray(x).astype(WIDE)
    return normalised(samples @ samples.T)


def gram_polynomial(x: ArrayLike, degree: int = 3, gamma: float | None = None, coef0: float = 1.0) -> Array:
    """(gamma <x, y> + coef0)^degree, gamma = 1 / d by default, divided by its diagonal and n."""
    samples = np.asarray(x).astype(WIDE)
    slope = WIDE(1) / WIDE(samples.shape[1]) if gamma is None else WIDE(gamma)
    return normalised((slope * (samples @ samples.T) + WIDE(coef0)) ** degree)


def gram_delta(labels: ArrayLike) -> Array:
    """1 / n where two labels (or two rows) are equal, else 0; labels (n,) or (n, d)."""
    rows = np.asarray(labels)
    n = rows.shape[0]
    rows = rows.reshape(n, -1)
    result = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if np.array_equal(rows[i], rows[j]):
                result[i, j] = 1 / n
    return result


# ------------------------------------------------------------------------------------------ bandwidths


def silverman(n: int, d: int, scale: float = 5.0) -> float:
    """scale * n^(-1 / (4 + d))."""
    return float(scale * n ** (-1 / (4 + d)))


def scott(x: ArrayLike, scale: float = 1.0) -> float:
    """scale * sd * n^(-1 / (4 + d)), sd the root of the features' mean sample variance (ddof = 1)."""
    samples = np.asarray(x).astype(WIDE)
    n, d = samples.shape
    if n == 1:
        return 0.0
    centred = samples - samples.mean(axis=0)
    variance = np.sum(centred * centred, axis=0) / (n - 1)
    return float(scale * np.sqrt(variance.mean()) * n ** (-1 / (4 + d)))


def median(x: ArrayLike, scale: float = 1.0, metric: str = "euclidean") -> float:
    """scale * the median of the distances of the pairs i < j."""
    values = np.sort(pair_distances(x, metric))
    if values.size == 0:
        return 0.0
    middle = values.size // 2
    if values.size % 2:
        return float(scale * values[middle])
    return float(scale * (values[middle - 1] + values[middle]) / 2)


def neighbours(x: ArrayLike, k: int = 10, scale: float = 1.0, metric: str = "euclidean") -> float:
    """scale * the mean over samples of the mean distance to their k nearest other samples."""
    d = distances(x, metric)
    n = d.shape[0]
    if n <= k:
        raise ValueError(f"{k} neighbours need more than {n} samples")
    means = [np.mean(np.sort(np.delete(d[i], i))[:k]) for i in range(n)]
    return float(scale * np.mean(means))


def alignment(a: ArrayLike, b: ArrayLike) -> float:
    """<A, B>_F / (|A|_F |B|_F)."""
    left, right = np.asarray(a).astype(WIDE), np.asarray(b).astype(WIDE)
    return float(np.sum(left * right) / np.sqrt(np.sum(left * left) * np.sum(right * right)))


# -------------------------------------------------------------------------------- spectrum and entropy


def spectrum(a: ArrayLike) -> Array:
    """Eigenvalues of one symmetric matrix, ascending."""
    return np.asarray(np.linalg.eigvalsh(np.asarray(a, dtype=np.float64)), dtype=np.float64)


def spectrum_entropy(eigenvalues: ArrayLike, alpha: float, base: float = 2) -> float:
    """log(sum_i p_i^alpha) / (1 - alpha) of eigenvalues p of sum one, by its limits at alpha = 0, 1 and inf.

    Near 1 the quotient is 0 / 0: with t = alpha - 1 and sum p = 1, sum p^alpha = 1 + sum p expm1(t log p).
    """
    values = np.asarray(eigenvalues).astype(WIDE)
    n, largest = values.size, values.max()
    rounding = n * np.finfo(np.float64).eps * largest
    if values.min() < -rounding:
        raise ValueError(f"an eigenvalue of {values.min()} is not rounding")
    values = np.where(values < 0, 0, values)
    p = values / values.sum()
    positive = p[p > 0]
    if alpha == 0:
        nats = np.log(WIDE(np.count_nonzero(values > rounding)))
    elif alpha == 1:
        nats = -np.sum(positive * np.log(positive))
    elif np.isinf(alpha):
        nats = -np.log(p.max())
    elif abs(alpha - 1) < 0.1:
        t = WIDE(alpha) - 1
        nats = -np.log1p(np.sum(positive * np.expm1(t * np.log(positive)))) / t
    else:
        nats = np.log(np.sum(positive ** WIDE(alpha))) / (1 - WIDE(alpha))
    return float(nats / np.log(WIDE(base))) + 0.0


def entropy(a: ArrayLike, alpha: float = 1.01, base: float = 2) -> float:
    """S_alpha of one Gram."""
    return spectrum_entropy(spectrum(a), alpha, base)


# -------------------------------------------------------------------------------------------- measures


def joint(*grams: Variable) -> Array:
    """A_1 o ... o A_C / tr(A_1 o ... o A_C); each argument a Gram or a sequence of Grams.

    The product is divided by its trace as it grows, so that no power of 1/n underflows.
    """
    product: Any = None
    for gram in flattened(*grams):
        factor = np.asarray(gram).astype(WIDE)
        product = factor if product is None else product * factor * factor.shape[0]
        product = product / np.trace(product)
    return np.asarray(product, dtype=np.float64)


def flattened(*variables: Variable) -> list[Any]:
    """The Grams in a mixture of Grams and sequences of Grams."""
    grams: list[Any] = []
    for variable in variables:
        if isinstance(variable, (list, tuple)):
            grams.extend(flattened(*variable))
        else:
            grams.append(variable)
    return grams


def joint_entropy(*grams: Variable, alpha: float = 1.01, base: float = 2) -> float:
    """S of the joint."""
    return entropy(joint(*grams), alpha, base)


def conditional_entropy(a: Variable, given: Variable, alpha: float = 1.01, base: float = 2) -> float:
    """S(A, C) - S(C)."""
    return joint_entropy(a, given, alpha=alpha, base=base) - joint_entropy(given, alpha=alpha, base=base)


def mutual_information(a: Variable, b: Variable, alpha: float = 1.01, base: float = 2) -> float:
    """S(A) + S(B) - S(A, B)."""
    parts = joint_entropy(a, alpha=alpha, base=base) + joint_entropy(b, alpha=alpha, base=base)
    return parts - joint_entropy(a, b, alpha=alpha, base=base)


def conditional_mutual_information(
    a: Variable, b: Variable, given: Variable, alpha: float = 1.01, base: float = 2
) -> float:
    """S(A, C) + S(B, C) - S(A, B, C) - S(C)."""
    return (
        joint_entropy(a, given, alpha=alpha, base=base)
        + joint_entropy(b, given, alpha=alpha, base=base)
        - joint_entropy(a, b, given, alpha=alpha, base=base)
        - joint_entropy(given, alpha=alpha, base=base)
    )


def total_correlation(*grams: Variable, normalized: bool = False, alpha: float = 1.01, base: float = 2) -> float:
    """T = sum S(A_i) - S(A_1 .. A_L); normalised: T / (sum S(A_i) - max S(A_i))."""
    singles = [joint_entropy(gram, alpha=alpha, base=base) for gram in grams]
    total = sum(singles) - joint_entropy(*grams, alpha=alpha, base=base)
    return total / (sum(singles) - max(singles)) if normalized else total


def dual_total_correlation(*grams: Variable, normalized: bool = False, alpha: float = 1.01, base: float = 2) -> float:
    """D = sum_i S(all but i) - (L - 1) S(all); normalised: D / S(all)."""
    everything = joint_entropy(*grams, alpha=alpha, base=base)
    but_one = [joint_entropy(*(grams[:i] + grams[i + 1 :]), alpha=alpha, base=base) for i in range(len(grams))]
    dual = sum(but_one) - (len(grams) - 1) * everything
    return dual / everything if normalized else dual


def o_information(*grams: Variable, alpha: float = 1.01, base: float = 2) -> float:
    """T - D: positive where redundancy rules, negative where synergy does."""
    total = total_correlation(*grams, alpha=alpha, base=base)
    return total - dual_total_correlation(*grams, alpha=alpha, base=base)


def interaction_information(*grams: Variable, alpha: float = 1.01, base: float = 2) -> float:
    """- sum over non-empty subsets T of (-1)^|T| S(T); of three variables I(A; B) - I(A; B | C)."""
    total = 0.0
    for size in range(1, len(grams) + 1):
        for subset in itertools.combinations(grams, size):
            total -= (-1) ** size * joint_entropy(*subset, alpha=alpha, base=base)
    return total


def divergence(
    x: ArrayLike,
    y: ArrayLike,
    gram: Callable[[Array], Array],
    alpha: float = 1.01,
    base: float = 2,
) -> float:
    """S(pooled) - n / (n + m) S(x) - m / (n + m) S(y); `gram` makes a Gram with the pooled sample's width."""
    left, right = np.asarray(x), np.asarray(y)
    n, m = len(left), len(right)
    pooled = gram(np.concatenate([left, right]))
    return (
        entropy(pooled, alpha, base)
        - n / (n + m) * entropy(gram(left), alpha, base)
        - m / (n + m) * entropy(gram(right), alpha, base)
    )


# --------------------------------------------------------------------------------- pairs and the layer


def pair_entropies(
    maps: Sequence[Any] | Array, target: ArrayLike, alpha: float = 1.01, base: float = 2
) -> tuple[Array, Array]:
    """S(T_i, T_j) and S(T_i, T_j, X) for all i and j, i = j included: two (C, C) arrays."""
    count = len(maps)
    pair, with_target = np.zeros((count, count)), np.zeros((count, count))
    for i in range(count):
        for j in range(i, count):
            pair[i, j] = pair[j, i] = joint_entropy(maps[i], maps[j], alpha=alpha, base=base)
            s = joint_entropy(maps[i], maps[j], target, alpha=alpha, base=base)
            with_target[i, j] = with_target[j, i] = s
    return pair, with_target


def layer_decomposition(
    maps: Sequence[Any] | Array, target: ArrayLike, alpha: float = 1.01, base: float = 2
) -> dict[str, Any]:
    """The three measurable quantities of a layer T_1 .. T_C and a target X, with what they are made of."""
    grams = list(maps)
    count = len(grams)
    single = np.array([mutual_information(target, gram, alpha, base) for gram in grams])
    pairwise = np.diag(single)
    for i, j in itertools.combinations(range(count), 2):
        pairwise[i, j] = pairwise[j, i] = mutual_information(target, [grams[i], grams[j]], alpha, base)
    mmi = mutual_information(target, grams, alpha, base)
    pairs = list(itertools.combinations(range(count), 2))
    tradeoff = nonredundant = float("nan")
    if pairs:
        tradeoff = float(np.mean([single[i] + single[j] - pairwise[i, j] for i, j in pairs]))
        nonredundant = float(np.mean([2 * pairwise[i, j] - single[i] - single[j] for i, j in pairs]))
    return {
        "mmi": mmi,
        "tradeoff": tradeoff,
        "nonredundant": nonredundant,
        "tradeoff_share": tradeoff / mmi if mmi else float("nan"),
        "nonredundant_share": nonredundant / mmi if mmi else float("nan"),
        "single": single,
        "pairwise": pairwise,
        "entropy": joint_entropy(grams, alpha=alpha, base=base),
    }


def rank_maps(
    maps: Sequence[Any] | Array, target: ArrayLike, alpha: float = 1.01, base: float = 2
) -> dict[str, list[Any]]:
    """Maps chosen one after the other, each for the largest gain; relevance and redundancy of each map."""
    grams, count = list(maps), len(maps)

    def known(chosen: list[int]) -> float:
        return mutual_information([grams[i] for i in chosen], target, alpha, base) if chosen else 0.0

    order: list[int] = []
    gain: list[float] = []
    while len(order) < count:
        left = [f for f in range(count) if f not in order]
        gains = [known([*order, f]) - known(order) for f in left]
        best = int(np.argmax(gains))
        order.append(left[best])
        gain.append(gains[best])
    relevance = [known([f]) for f in range(count)]
    redundancy = [
        float(np.mean([relevance[f] + relevance[j] - known([f, j]) for j in range(count) if j != f] or np.nan))
        for f in range(count)
    ]
    return {"order": order, "relevance": relevance, "gain": gain, "redundancy": redundancy}


def leave_one_out(
    maps: Sequence[Any] | Array, target: ArrayLike, alpha: float = 1.01, base: float = 2
) -> dict[str, Any]:
    """I of all maps but one, of each alone and of all, and what is made of them."""
    grams, count = list(maps), len(maps)
    others = [grams[:i] + grams[i + 1 :] for i in range(count)]
    without = np.array([mutual_information(rest, target, alpha, base) if rest else 0.0 for rest in others])
    single = np.array([mutual_information(gram, target, alpha, base) for gram in grams])
    whole = mutual_information(grams, target, alpha, base)
    return {
        "without": without,
        "single": single,
        "joint": whole,
        "synergy": whole - max(without),
        "redundancy": min(single),
        "unique_lower": max(max(own - rest, 0.0) for own, rest in zip(single, without, strict=True)),
        "unique_upper": max(min(max(whole - rest, 0.0), own) for own, rest in zip(single, without, strict=True)),
        "vulnerability": sum(whole - rest for rest in without) / whole if whole else float("nan"),
    }


def group_o_information(
    maps: Sequence[Any] | Array, size: int, target: ArrayLike | None = None, alpha: float = 1.01, base: float = 2
) -> dict[tuple[int, ...], float]:
    """The O-information of each group of so many maps, and of the target if there is one."""
    more = [] if target is None else [target]
    return {
        group: o_information(*(maps[i] for i in group), *more, alpha=alpha, base=base)
        for group in itertools.combinations(range(len(maps)), size)
    }


# ---------------------------------------------------------------------------- the family: linear Grams and beyond


def centred(x: ArrayLike, center: str | None) -> Any:
    """Samples (n, d) less the means over samples, over features, or first the one and then the other."""
    z = np.asarray(x).astype(WIDE)
    if center in ("samples", "both"):
        z = z - z.mean(axis=0, keepdims=True)
    if center in ("features", "both"):
        z = z - z.mean(axis=1, keepdims=True)
    return z


def linear_samples(x: ArrayLike, center: str | None = None, normalized: bool = False) -> Any:
    """Samples centred and, if they are to be, of length one; those of zeros stay zero."""
    z = centred(x, center)
    if not normalized:
        return z
    length = np.sqrt(np.sum(z * z, axis=1, keepdims=True))
    return np.divide(z, length, out=np.zeros_like(z), where=length > 0)


def gram_linear(x: ArrayLike, center: str | None = None, normalized: bool = False) -> Array:
    """Z Z' / tr(Z Z'), of rows of length one if they are normalised; rows of zeros stay zero."""
    z = linear_samples(x, center, normalized)
    k = z @ z.T
    return np.asarray(k / np.trace(k), dtype=np.float64)


def effective_rank(a: ArrayLike, alpha: float = 1, power: float = 1) -> float:
    """exp(S_alpha) of p = lambda^power / sum lambda^power, eigenvalues of rounding size being zero."""
    values = spectrum(a)
    values = np.where(values > values.size * np.finfo(np.float64).eps * values.max(), values, 0)
    positive = values[values > 0] ** power
    return float(np.exp(spectrum_entropy(positive, alpha, np.e)))


def participation_ratio(x: ArrayLike) -> float:
    """(sum lambda)^2 / sum lambda^2 of the covariance."""
    z = centred(x, "samples")
    covariance = z.T @ z
    return float(np.trace(covariance) ** 2 / np.sum(covariance * covariance))


def stable_rank(x: ArrayLike) -> float:
    """|X|_F^2 / |X|_2^2."""
    values = np.linalg.svd(np.asarray(x, dtype=np.float64), compute_uv=False)
    return float(np.sum(values**2) / values[0] ** 2)


def vendi_score(k: ArrayLike, q: float = 1, p: ArrayLike | None = None) -> float:
    """exp(S_q) of sqrt(p_i p_j) k_ij."""
    matrix = np.asarray(k, dtype=np.float64)
    weights = np.full(len(matrix), 1 / len(matrix)) if p is None else np.asarray(p, dtype=np.float64)
    return effective_rank(np.sqrt(np.outer(weights, weights)) * matrix, q)


def logdet_entropy(x: ArrayLike, beta: float = 1.0, base: float = 2) -> float:
    """1/2 log det(I + beta X'X / n), by the d x d side."""
    z = np.asarray(x, dtype=np.float64)
    return float(np.linalg.slogdet(np.eye(z.shape[1]) + beta / len(z) * z.T @ z)[1] / 2 / np.log(base))


def coding_rate(x: ArrayLike, eps: float = 0.5, base: float = 2) -> float:
    """1/2 log det(I + d / (n eps^2) X'X)."""
    return logdet_entropy(x, np.shape(x)[1] / eps**2, base)


def centred_alignment(a: ArrayLike, b: ArrayLike) -> float:
    """CKA: the alignment of H A H and H B H."""
    n = len(np.asarray(a))
    h = np.eye(n) - 1 / n
    return alignment(h @ np.asarray(a) @ h, h @ np.asarray(b) @ h)


def cauchy_schwarz_information(a: ArrayLike, b: ArrayLike, base: float = 2) -> float:
    """log V_J + log V_M - 2 log V_C."""
    k, other = np.asarray(a).astype(WIDE), np.asarray(b).astype(WIDE)
    n = len(k)
    joint = np.trace(k @ other) / n**2
    single = k.sum() * other.sum() / n**4
    ones = np.ones(n, dtype=WIDE)
    cross = ones @ k @ other @ ones / n**3
    return float((np.log(joint) + np.log(single) - 2 * np.log(cross)) / np.log(WIDE(base)))


def relative_entropy(a: ArrayLike, b: ArrayLike, base: float = 2) -> float:
    """tr A (log A - log B), by the eigenvectors of both; B of full rank."""

    def logarithm(matrix: Any) -> Any:
        values, vectors = np.linalg.eigh(np.asarray(matrix, dtype=np.float64))
        return (vectors * np.log(np.where(values > 1e-300, values, 1))) @ vectors.T

    left = np.asarray(a, dtype=np.float64)
    return float(np.trace(left @ (logarithm(left) - logarithm(b))) / np.log(base))


def cauchy_schwarz_divergence(x: ArrayLike, y: ArrayLike, kernel: Callable[[Any, Any], Any], base: float = 2) -> float:
    """log mean k(x, x') + log mean k(y, y') - 2 log mean k(x, y); `kernel` of two samples."""

    def mean(left: Any, right: Any) -> Any:
        return np.mean([[kernel(u, v) for v in right] for u in left])

    left, right = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    nats = np.log(mean(left, left)) + np.log(mean(right, right)) - 2 * np.log(mean(left, right))
    return float(nats / np.log(base))


def eigenscore(x: ArrayLike, eps: float = 1e-3, form: str = "paper") -> float:
    """(1/n) log det(X J X' + eps I); the released form of numpy.cov, to base 10."""
    z = np.asarray(x, dtype=np.float64)
    n, d = z.shape
    if form == "released":
        return float(np.linalg.slogdet(np.cov(z).reshape(n, n) + eps * np.eye(n))[1] / n / np.log(10))
    return float(np.linalg.slogdet(z @ (np.eye(d) - 1 / d) @ z.T + eps * np.eye(n))[1] / n)


def lidar(x: ArrayLike, delta: float = 1e-4) -> float:
    """exp(S_1) of W^(-1/2) B W^(-1/2), by eigenvectors and one view after the other."""
    z = np.asarray(x, dtype=np.float64)
    n, views, d = z.shape
    means = z.mean(axis=1)
    between, within = np.zeros((d, d)), delta * np.eye(d)
    for i in range(n):
        between += np.outer(means[i] - means.mean(axis=0), means[i] - means.mean(axis=0)) / n
        for j in range(views):
            within += np.outer(z[i, j] - means[i], z[i, j] - means[i]) / (n * views)
    values, vectors = np.linalg.eigh(within)
    root = (vectors / np.sqrt(values)) @ vectors.T
    whitened = root @ between @ root
    return effective_rank(whitened / np.trace(whitened))


def spectral_slope(x: ArrayLike, first: int = 4, last: int = 100, weighted: bool = True) -> float:
    """Minus the slope of log lambda_i on log i, by NumPy's polynomials."""
    z = np.asarray(x, dtype=np.float64)
    values = np.sort(np.linalg.eigvalsh(np.cov(z.T).reshape(z.shape[1], z.shape[1])))[::-1][: min(z.shape)]
    ranks = np.arange(1, len(values) + 1)
    fit = (ranks >= first) & (ranks <= last) & (values > len(values) * np.finfo(np.float64).eps * values[0])
    # polyfit's weights are of residuals, not of their squares
    weights = 1 / np.sqrt(ranks[fit]) if weighted else np.ones(fit.sum())
    return float(-np.polyfit(np.log(ranks[fit]), np.log(values[fit]), 1, w=weights)[0])


def curvature(x: ArrayLike) -> float:
    """The mean angle between a step and the next, of those that move."""
    steps = np.diff(np.asarray(x, dtype=np.float64), axis=0)
    angles = [
        np.arccos(np.clip(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)), -1, 1))
        for u, v in itertools.pairwise(steps)
        if u.any() and v.any()
    ]
    return float(np.mean(angles)) if angles else 0.0


def infonce(a: ArrayLike, b: ArrayLike, temperature: float = 0.1, base: float = 2) -> float:
    """-mean log of exp of the other view over the sum of exp of all others."""
    rows = np.concatenate([np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    count = len(rows)
    told = []
    for i in range(count):
        likeness = [np.exp(rows[i] @ rows[j] / temperature) if j != i else 0.0 for j in range(count)]
        told.append(-np.log(likeness[(i + count // 2) % count] / np.sum(likeness)))
    return float(np.mean(told) / np.log(base))


def dime(a: ArrayLike, b: ArrayLike, orders: ArrayLike, alpha: float = 1.01, base: float = 2) -> float:
    """mean over orders (k, n) of S(A, P B P'), minus S(A, B)."""
    second = np.asarray(b)
    apart = [joint_entropy(a, second[np.ix_(order, order)], alpha=alpha, base=base) for order in np.asarray(orders)]
    return float(np.mean(apart) - joint_entropy(a, b, alpha=alpha, base=base))


def graph_gram(w: ArrayLike, kernel: str = "heat", t: float = 0.3, nu: float = 1.0, kappa: float = 1.0) -> Array:
    """exp(-t L) by its series and squares, or (2 nu / kappa^2 I + L)^(-nu) by eigenvectors; of unit diagonal over k."""
    weights = np.asarray(w, dtype=np.float64)
    laplacian = np.diag(weights.sum(axis=1)) - weights
    if kernel == "heat":
        k = np.eye(len(weights))
        for order in range(12, 0, -1):
            k = np.eye(len(weights)) - t / 1024 * laplacian @ k / order
        k = np.linalg.matrix_power(k, 1024)
    else:
        values, vectors = np.linalg.eigh(2 * nu / kappa**2 * np.eye(len(weights)) + laplacian)
        k = (vectors * values**-nu) @ vectors.T
    return np.asarray(k / np.sqrt(np.outer(np.diag(k), np.diag(k))) / len(k))
