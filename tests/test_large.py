"""Large Grams: what an estimate's interval holds, against the whole spectrum."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference
from estimates import KERNELS, ORDERS, holds, quiet, samples
from fastrenyi._array import home_of
from fastrenyi.large import factors, run
from fastrenyi.large.matrix import Matrix

# ----------------------------------------------------------------------------------------------- small: by the spectrum


def of_both(rng: np.random.Generator, kernel: Any = "gaussian", n: int = 300) -> tuple[list[Any], list[Any]]:
    sets = [samples(rng, n) for _ in range(3)]
    sets[1] += sets[0]
    return [fr.lazy_gram(x, kernel) for x in sets], [fr.gram(x, kernel) for x in sets]


MEASURES: dict[str, Any] = {
    "entropy": lambda a, b, c, **o: fr.entropy(a, **o),
    "entropy of a list": lambda a, b, c, **o: fr.entropy([a, b], **o),
    "joint": lambda a, b, c, **o: fr.joint_entropy(a, b, c, **o),
    "conditional": lambda a, b, c, **o: fr.conditional_entropy(a, b, **o),
    "mutual": lambda a, b, c, **o: fr.mutual_information(a, [b, c], **o),
    "conditional mutual": lambda a, b, c, **o: fr.conditional_mutual_information(a, b, c, **o),
    "total": lambda a, b, c, **o: fr.total_correlation(a, b, c, **o),
    "dual": lambda a, b, c, **o: fr.dual_total_correlation(a, b, c, **o),
    "o": lambda a, b, c, **o: fr.o_information(a, b, c, **o),
    "interaction": lambda a, b, c, **o: fr.interaction_information(a, b, c, **o),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_small_ones_are_exact(measure: Any, rng: np.random.Generator) -> None:
    lazy, dense = of_both(rng)
    found = measure(*lazy, alpha=ORDERS, base=math.e)
    assert found.exact
    assert found.converged
    np.testing.assert_allclose(found.value, measure(*dense, alpha=ORDERS, base=math.e), atol=1e-9)
    holds(found, measure(*dense, alpha=ORDERS, base=math.e))
    one = measure(*lazy)
    assert isinstance(one.value, float)
    assert float(one) == one.value
    assert np.asarray(one) == one.value


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_every_kernel(kernel: Any, rng: np.random.Generator) -> None:
    lazy, dense = of_both(rng, kernel)
    found = fr.mutual_information(*lazy[:2], alpha=[1, 2])
    np.testing.assert_allclose(found.value, fr.mutual_information(*dense[:2], alpha=[1, 2]), atol=1e-9)


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("estimated", [False, True])
def test_divergence(estimated: bool, rng: np.random.Generator, request: pytest.FixtureRequest) -> None:
    if estimated:
        request.getfixturevalue("estimating")
    x, y = samples(rng, 250), samples(rng, 350) + 1
    for kernel in ("gaussian", "cosine"):
        how = fr.Estimation(confidence=0.9999)
        found = quiet(fr.divergence, x, y, kernel, alpha=[1.01, 2], estimate=how)
        holds(found, fr.divergence(x, y, kernel, alpha=[1.01, 2]))
        assert found.exact is not estimated


# ------------------------------------------------------------------------------------------------ large: by an interval


def workloads(rng: np.random.Generator, n: int = 400) -> dict[str, np.ndarray]:
    x = samples(rng, n)
    return {
        "plain": fr.gram(x, bandwidth=1.0),
        "narrow": fr.gram(x, bandwidth=0.2),
        "wide": fr.gram(x, bandwidth=20.0),
        "duplicates": fr.gram(np.repeat(x[: n // 4], 4, axis=0), bandwidth=1.0),
        "identity": np.eye(n) / n,
        "rank one": np.full((n, n), 1 / n),
        "far too narrow": fr.gram(x, bandwidth=1e-6),
        "far too wide": fr.gram(x, bandwidth=1e6),
        "two values": fr.gram(np.arange(n) % 2, kernel="delta"),
        "uneven": (lambda a: a / np.trace(a))(fr.gram(x, bandwidth=1.0) * np.outer(*[rng.uniform(0.1, 3, n)] * 2)),
    }


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("alpha", ORDERS)
def test_intervals_hold_what_the_spectrum_gives(alpha: float, rng: np.random.Generator, estimating: None) -> None:
    for name, a in workloads(rng).items():
        found = quiet(fr.entropy, a, alpha, estimate=fr.Estimation(tol=0.01, confidence=1 - 1e-6))
        exact = float(fr.entropy(a, alpha))
        # Below 1 the spectrum itself has eigenvalues of rounding.
        holds(found, exact, slack=1e-9 if alpha >= 1 else 2e-4)
        assert found.exact is (alpha == 2), name


def test_high_orders_of_a_flat_spectrum(rng: np.random.Generator, estimating: None) -> None:
    """Powers leave the range of numbers, and the space is too small for them to be exact in it."""
    flat = fr.gram(np.arange(400.0)[:, None], bandwidth=3.0)
    for a in (flat, fr.gram(rng.normal(size=(400, 900)), "cosine")):
        for alpha in (10, 20, 30, 50, 100, 200):
            for seed in range(4):
                found = quiet(fr.entropy, a, alpha, estimate=fr.Estimation(seed=seed, confidence=0.9999))
                holds(found, float(fr.entropy(a, alpha)))


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("solve", [None, 0])
@pytest.mark.parametrize("span", [200, 600, 2000])
def test_samples_spread_over_many_widths(span: float, solve: Any, rng: np.random.Generator) -> None:
    """Products of long vectors lose digits, of which eigenvalues below zero are no fault of the data."""
    x = rng.uniform(0, span, size=(1000, 1))
    x[500:] = x[:500] + 1e-3
    lazy, dense, orders = fr.lazy_gram(x, bandwidth=1.0), fr.gram(x, bandwidth=1.0), [1, 1.5, 2, 3]
    holds(
        quiet(fr.entropy, lazy, orders, estimate=fr.Estimation(confidence=0.9999, solve=solve)),
        fr.entropy(dense, orders),
    )


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("solve", [None, 0])
def test_grams_of_lower_precision(solve: Any, rng: np.random.Generator) -> None:
    x = rng.normal(size=(500, 3))
    for dtype in ("float16", "float32"):
        a = fr.gram(x.astype(dtype), bandwidth=2.0)
        how = fr.Estimation(confidence=0.9999, solve=solve)
        for given in (a, a.astype(np.float64)):
            found = quiet(fr.entropy, given, [1, 2], estimate=how)
            holds(found, fr.entropy(a, [1, 2]), slack=1e-5 if dtype == "float32" else 2e-2)


def test_small_orders_of_a_spectrum_are_told_as_exact(rng: np.random.Generator) -> None:
    x = samples(rng)
    lazy, dense = fr.lazy_gram(x, bandwidth=1.0), fr.gram(x, bandwidth=1.0)
    for alpha in (0.1, 0.3):
        found = fr.entropy(lazy, alpha)
        assert found.exact
        assert found.converged
        holds(found, float(fr.entropy(dense, alpha)))


def test_coverage(rng: np.random.Generator, estimating: None) -> None:
    """95 % intervals miss about one time in twenty; docs/large.md has larger studies."""
    orders, missed, narrow = [0.5, 1, 1.5, 2.5, 5], np.zeros(5), 0
    for _ in range(40):
        a = fr.gram(samples(rng), bandwidth=1.5)
        found = quiet(fr.entropy, a, orders, estimate=fr.Estimation(tol=1e-3, seed=int(rng.integers(2**31))))
        exact = fr.entropy(a, orders)
        missed += (exact < found.low - 1e-9) | (exact > found.high + 1e-9)
        narrow += bool((found.high - found.low < 0.5).all())
    assert missed.max() <= 8, missed  # one cell has as many by chance in a thousand runs
    assert missed.sum() <= 22, missed
    assert narrow == 40


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_sums_share_their_probes(measure: Any, rng: np.random.Generator, estimating: None) -> None:
    lazy, dense = of_both(rng, fr.Gaussian(1.5))
    found = quiet(measure, *lazy, alpha=[1, 1.5], estimate=fr.Estimation(tol=0.02, confidence=0.9999))
    holds(found, measure(*dense, alpha=[1, 1.5]))
    assert not found.exact


def test_a_tolerance_is_met_or_said(rng: np.random.Generator, estimating: None) -> None:
    lazy = fr.lazy_gram(samples(rng, 2000, 2), bandwidth=1.0)
    found = fr.entropy(lazy, estimate=1e-3)
    assert found.converged
    assert found.high - found.low <= 2e-3
    with pytest.warns(
        UserWarning, match=r"^estimate: the interval is .* to each side, wanted 1e-12: it would take"
    ) as told:
        missed = fr.entropy(lazy, estimate=1e-12)
    assert not missed.converged
    assert told[0].filename == __file__
    assert missed.high - missed.low <= 2e-3


def test_more_probes_where_chance_decides(rng: np.random.Generator, estimating: None) -> None:
    """A flat spectrum is known from a small space, and its trace only by many signs."""
    a = fr.gram(samples(rng, 1600, 6), bandwidth=1.0)
    few = quiet(fr.entropy, a, 5, estimate=0.05)
    many = quiet(fr.entropy, a, 5, estimate=few.high - few.value if few.high > few.value else 1e-3)
    holds(quiet(fr.entropy, a, 5, estimate=fr.Estimation(tol=1e-3, confidence=1 - 1e-6)), float(fr.entropy(a, 5)))
    assert many.columns >= few.columns


@pytest.mark.usefixtures("where")
def test_the_same_seed_gives_the_same_bits(rng: np.random.Generator, estimating: None) -> None:
    lazy = fr.lazy_gram(samples(rng), bandwidth=1.0)
    first, second, other = (quiet(fr.entropy, lazy, estimate=fr.Estimation(seed=seed)) for seed in (3, 3, 4))
    assert (first.value, first.low, first.high) == (second.value, second.low, second.high)
    assert first.value != other.value


@pytest.mark.usefixtures("where")
def test_tiles_that_are_not_kept_give_the_same(rng: np.random.Generator, estimating: None) -> None:
    x = samples(rng)
    kept, made = (Matrix([factors.Gaussian([(x, 1.0)])], home_of(x), memory, "float64") for memory in (1e9, 0))
    v = rng.normal(size=(400, 3))
    for _ in range(2):
        np.testing.assert_array_equal(kept @ v, made @ v)
    assert kept.squares() == made.squares()
    assert kept.squares() == pytest.approx((fr.gram(x, bandwidth=1.0) ** 2).sum(), rel=1e-12)


@pytest.mark.usefixtures("where")
def test_joint_gaussians_are_one_and_labels_mask(
    rng: np.random.Generator, estimating: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastrenyi.large.matrix._TILE", 50)
    x, y, labels = samples(rng), samples(rng, d=2), np.arange(400) % 4
    lazy = [fr.lazy_gram(x, bandwidth=1.5), fr.lazy_gram(y, bandwidth=0.7), fr.lazy_gram(labels, kernel="delta")]
    dense = [fr.gram(x, bandwidth=1.5), fr.gram(y, bandwidth=0.7), fr.gram(labels, kernel="delta")]
    whole = Matrix([one._factor for one in lazy], lazy[0].home, 0, "float64")
    assert len(factors.merged([one._factor for one in lazy])) == 2
    assert sorted(map(len, whole.blocks)) == [100] * 4
    every = np.arange(400)
    np.testing.assert_allclose(whole.entries(every, every), np.prod(dense, axis=0) * 400**2, atol=1e-12)
    v = rng.normal(size=(400, 2))
    np.testing.assert_allclose(whole @ v, np.prod(dense, axis=0) * 400**2 @ v, atol=1e-12)
    assert whole.bytes < 400 * 400 * 8 / 2  # blocks between labels are not made
    how = fr.Estimation(confidence=0.9999)
    holds(quiet(fr.mutual_information, lazy[:2], lazy[2], estimate=how), fr.mutual_information(dense[:2], dense[2]))


@pytest.mark.usefixtures("where")
def test_dense_and_lazy_together(rng: np.random.Generator) -> None:
    lazy, dense = of_both(rng)
    found = fr.mutual_information(lazy[0], dense[1])
    assert float(found) == pytest.approx(float(fr.mutual_information(*dense[:2])), abs=1e-9)
    assert isinstance(fr.mutual_information(*dense[:2], estimate=0.1), fr.Estimate)


@pytest.mark.usefixtures("where")
def test_blocks_of_labels_are_solved(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """Ten classes cost a hundredth of the spectrum of all."""
    monkeypatch.setattr(run, "_AT_ONCE", 250)
    x, labels = samples(rng), np.arange(400) % 10
    found = fr.joint_entropy(fr.lazy_gram(x, bandwidth=1.0), fr.lazy_gram(labels, kernel="delta"))
    assert found.exact
    expected = fr.joint_entropy(fr.gram(x, bandwidth=1.0), fr.gram(labels, kernel="delta"))
    assert float(found) == pytest.approx(float(expected), abs=1e-10)


@pytest.mark.usefixtures("where")
def test_order_two_of_many_samples_is_exact(rng: np.random.Generator) -> None:
    x = samples(rng, 3000)
    found = fr.entropy(fr.lazy_gram(x, bandwidth=1.0), alpha=2)
    assert found.exact
    assert found.columns == 0
    assert float(found) == pytest.approx(reference.entropy(reference.gram_gaussian(x, 1.0), 2), abs=1e-10)


def test_how_many_samples_are_solved_is_a_setting(rng: np.random.Generator) -> None:
    lazy = fr.lazy_gram(samples(rng), bandwidth=1.0)
    assert fr.entropy(lazy).exact
    assert not quiet(fr.entropy, lazy, estimate=fr.Estimation(solve=0)).exact
    assert fr.entropy(lazy, estimate=fr.Estimation(solve=400)).exact
    assert not quiet(fr.entropy, lazy, estimate=fr.Estimation(solve=399, tol=0.1)).exact


def test_progress_is_told(rng: np.random.Generator, estimating: None, capsys: pytest.CaptureFixture[str]) -> None:
    lazy = fr.lazy_gram(samples(rng, 2000), bandwidth=1.0)
    quiet(fr.entropy, lazy, estimate=fr.Estimation(tol=1e-6, progress=True))
    told = capsys.readouterr().err
    assert "fastrenyi: n = 2,000, " in told
    assert "s left" in told


@pytest.mark.parametrize(("asked", "level"), [(True, logging.INFO), (False, logging.DEBUG)])
def test_progress_goes_to_who_listens_to_the_logger(
    asked: bool, level: int, rng: np.random.Generator, estimating: None, capsys: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(level, logger="fastrenyi")
    quiet(fr.entropy, fr.lazy_gram(samples(rng, 2000), bandwidth=1.0), estimate=fr.Estimation(0.1, progress=asked))
    assert caplog.records
    assert {record.levelno for record in caplog.records} == {level}
    assert caplog.messages[0].startswith("n = 2,000, ")
    assert capsys.readouterr().err == ""


def test_some_tiles_kept_and_others_not(rng: np.random.Generator) -> None:
    """All variables of a sum begin with as many signs, which go together."""
    a = fr.lazy_gram(rng.normal(size=(900, 100)), bandwidth=8.0)
    b = fr.lazy_gram(rng.normal(size=(900, 1)), bandwidth=1.0)
    exact = fr.mutual_information(a, b, alpha=1.01)
    for memory in (1.5e6, 3e6, 1e7):
        how = fr.Estimation(tol=0.02, solve=0, memory=memory, confidence=0.9999)
        holds(quiet(fr.mutual_information, a, b, alpha=1.01, estimate=how), float(exact))


@pytest.mark.parametrize("d", [3, 10])
def test_rounding_of_what_is_zero(d: int, rng: np.random.Generator) -> None:
    """Eigenvalues of zero that single precision makes negative are many, and all count alike."""
    lazy = fr.lazy_gram(rng.normal(size=(600, d)), "cosine")
    orders = [1.5, 1.999]
    exact = fr.entropy(lazy, orders).value
    for seed in range(5):
        holds(quiet(fr.entropy, lazy, orders, estimate=fr.Estimation(seed=seed, solve=0, confidence=0.9999)), exact)


def test_a_few_clusters_are_found_whole(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 70))[rng.integers(0, 3, 600)]
    lazy = fr.lazy_gram(x, bandwidth=5.0)
    found = fr.entropy(lazy, 1.01, estimate=fr.Estimation(solve=0, memory=1e5, confidence=0.9999))
    holds(found, float(fr.entropy(lazy, 1.01)))
    assert found.converged
