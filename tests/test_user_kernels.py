"""Kernels that a user has written: one method serves Grams, calls, measures, gradients, monitors and scikit-learn."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
import fastrenyi.torch as frt
import reference
from conftest import HALVES, Draw, Nx, refused


@dataclass(frozen=True)
class RationalQuadratic(fr.Kernel):
    width: float = 1.0
    power: float = 1.0

    def matrix(self, x: Any, y: Any) -> Any:
        return (1 + self.distances(x, y) ** 2 / (2 * self.power * self.width**2)) ** -self.power


class Cauchy(fr.Kernel):
    """No dataclass, and written without help."""

    def __init__(self, width: float = 1.0) -> None:
        self.width = width

    def matrix(self, x: Any, y: Any) -> Any:
        differences = x[..., :, None, :] - y[..., None, :, :]
        return 1 / (1 + (differences / self.width) ** 2).prod(-1)


@dataclass(frozen=True)
class OwnGaussian(fr.Kernel):
    width: Any = 1.0

    def matrix(self, x: Any, y: Any) -> Any:
        return math.e ** (self.distances(x, y) ** 2 / (-2 * self.width**2))


@dataclass(frozen=True)
class OwnLaplacian(fr.Kernel):
    width: Any = 1.0

    def matrix(self, x: Any, y: Any) -> Any:
        return math.e ** (-self.distances(x, y, "manhattan") / self.width)


@dataclass(frozen=True)
class OwnPolynomial(fr.Kernel):
    """Not one on its diagonal."""

    def matrix(self, x: Any, y: Any) -> Any:
        return (x @ y.swapaxes(-1, -2) + 1) ** 2


TWINS = [
    (OwnGaussian(1.5), fr.Gaussian(1.5)),
    (OwnLaplacian(1.5), fr.Laplacian(1.5)),
    (OwnPolynomial(), fr.Polynomial(2, 1.0, 1.0)),
]
ROUGH = {"float64": 1e-14, "float32": 1e-6}


# ------------------------------------------------------------------------------------------------------- values


def formula(x: np.ndarray, k: Any) -> np.ndarray:
    """The Gram of samples (n, d) by a loop."""
    found = np.array([[k(u, v) for v in x] for u in x])
    root = np.sqrt(np.diag(found))
    return np.asarray(found / np.outer(root, root) / len(x))


@pytest.mark.parametrize(
    ("kernel", "k"),
    [
        (RationalQuadratic(0.7, 2.0), lambda u, v: (1 + np.sum((u - v) ** 2) / (4 * 0.49)) ** -2.0),
        (Cauchy(0.7), lambda u, v: np.prod(1 / (1 + ((u - v) / 0.7) ** 2))),
        (OwnPolynomial(), lambda u, v: (u @ v + 1) ** 2),
    ],
    ids=["rational-quadratic", "cauchy", "polynomial"],
)
def test_against_the_formula(kernel: Any, k: Any, nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    x = nx.array(draw.samples(*batch, 6, 3))
    found = nx.values(fr.gram(x, kernel))
    np.testing.assert_allclose(
        found, reference.over_batch(lambda samples: formula(samples, k), nx.values(x)), atol=4 * ROUGH[nx.dtype]
    )
    np.testing.assert_array_equal(found, found.swapaxes(-1, -2))


@pytest.mark.parametrize(("own", "ours"), TWINS, ids=repr)
def test_beside_ours(own: Any, ours: Any, nx: Nx, draw: Draw) -> None:
    x, y = nx.array(draw.samples(2, 7, 3)), nx.array(draw.samples(5, 3))
    rough = 4 * ROUGH[nx.dtype]
    np.testing.assert_allclose(nx.values(fr.gram(x, own)), nx.values(fr.gram(x, ours)), atol=rough)
    np.testing.assert_allclose(nx.values(own(x, y)), nx.values(ours(x, y)), rtol=20 * rough, atol=20 * rough)
    maps = nx.array(draw.samples(6, 2, 3, 3))
    for grams in (fr.channel_grams, fr.tensor_gram):
        np.testing.assert_allclose(nx.values(grams(maps, own)), nx.values(grams(maps, ours)), atol=rough)
    np.testing.assert_allclose(nx.values(own(x[0, 2], y)), nx.values(own(x[0], y)[2]), rtol=20 * rough, atol=20 * rough)


@pytest.mark.parametrize("nx_half", HALVES, ids=str)
def test_half_precision_is_computed_in_single(nx_half: Nx, draw: Draw) -> None:
    x = nx_half.array(draw.samples(6, 3))
    found, right = (nx_half.values(fr.gram(x, kernel)) for kernel in TWINS[0])
    np.testing.assert_allclose(found, right, rtol=1e-2)


def test_sets_of_different_sizes(nx: Nx, draw: Draw) -> None:
    x = nx.array(draw.samples(3, 6, 2))
    for given in ({"lengths": [6, 2, 4]}, {"mask": np.arange(6) % 2 == 0}):
        found, right = (nx.values(fr.gram(x, kernel, **given)) for kernel in TWINS[0])
        np.testing.assert_allclose(found, right, atol=4 * ROUGH[nx.dtype])


def test_every_measure_takes_its_gram(nx: Nx, draw: Draw) -> None:
    x, y = nx.array(draw.samples(8, 3)), nx.array(draw.samples(8, 3))
    (a, right_a), (b, right_b) = ([fr.gram(v, kernel) for kernel in TWINS[0]] for v in (x, y))
    rough = 1e-11 if nx.dtype == "float64" else 1e-4
    for measure in (fr.mutual_information, fr.total_correlation, fr.joint_entropy, fr.conditional_entropy):
        found, right = nx.values(measure(a, b)), nx.values(measure(right_a, right_b))
        np.testing.assert_allclose(found, right, atol=rough)
    null = fr.permutation_test(a, b, 20)
    np.testing.assert_allclose(
        nx.values(null.null), nx.values(fr.permutation_test(right_a, right_b, 20).null), atol=rough
    )
    for compare in (fr.divergence, fr.cauchy_schwarz_divergence):
        found, right = (nx.values(compare(x, y, kernel)) for kernel in TWINS[0])
        np.testing.assert_allclose(found, right, atol=rough)


# ---------------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize(("own", "ours"), TWINS, ids=repr)
def test_gradients_beside_ours(own: Any, ours: Any, draw: Draw) -> None:
    x = torch.tensor(draw.samples(2, 6, 3), requires_grad=True)
    weights = torch.tensor(draw.samples(2, 6, 6))
    found, right = (torch.autograd.grad((fr.gram(x, k) * weights).sum(), x)[0] for k in (own, ours))
    torch.testing.assert_close(found, right, rtol=1e-10, atol=1e-12)
    found, right = (torch.autograd.grad(fr.entropy(fr.gram(x, k)).sum(), x)[0] for k in (own, ours))
    torch.testing.assert_close(found, right, rtol=1e-8, atol=1e-10)
    mapped = torch.vmap(lambda x: fr.gram(x, own))(x.detach())
    torch.testing.assert_close(mapped, fr.gram(x.detach(), own))
    slope = torch.func.grad(lambda x: fr.entropy(fr.gram(x, own)).sum())(x.detach())
    torch.testing.assert_close(slope, right, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kernel", [RationalQuadratic(), Cauchy(), OwnPolynomial()], ids=repr)
def test_gradients(kernel: Any, draw: Draw) -> None:
    x, y = torch.tensor(draw.samples(5, 2), requires_grad=True), torch.tensor(draw.samples(3, 2))
    assert torch.autograd.gradcheck(lambda x: fr.gram(x, kernel), (x,))
    assert torch.autograd.gradcheck(lambda x: kernel(x, y), (x,))
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: fr.gram(x, kernel).square().sum(), fullgraph=True, backend="aot_eager")
    found, right = (torch.autograd.grad(f, x)[0] for f in (compiled(x), fr.gram(x, kernel).square().sum()))
    torch.testing.assert_close(found, right)


def test_of_a_setting_that_is_a_tensor(draw: Draw) -> None:
    x = torch.tensor(draw.samples(5, 2))
    width = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: fr.gram(x, OwnGaussian(w)), (width,))


def test_in_a_loss(draw: Draw) -> None:
    z, target = (torch.tensor(draw.samples(6, 3)) for _ in range(2))
    found, right = (frt.losses.DistillationLoss(kernel=kernel)(z, target) for kernel in TWINS[2])
    torch.testing.assert_close(found, right)


# --------------------------------------------------------------------------------- settings, and where they are kept


def test_shown_compared_and_pickled() -> None:
    assert repr(Cauchy(2.0)) == "Cauchy(width=2.0)"
    assert eval(repr(RationalQuadratic(0.5))) == RationalQuadratic(0.5)
    assert Cauchy(2.0) == Cauchy(2.0) != Cauchy(1.0)
    assert Cauchy(1.0) != RationalQuadratic(1.0)
    assert hash(Cauchy(2.0)) == hash(Cauchy(2.0))
    assert Cauchy(np.ones(3)) == Cauchy(np.ones(3)) != Cauchy(np.zeros(3))  # type: ignore[arg-type]
    for kernel in (Cauchy(2.0), RationalQuadratic(0.5)):
        assert pickle.loads(pickle.dumps(kernel)) == copy.deepcopy(kernel) == kernel
        assert kernel.get_params()["width"] == kernel.width
    assert Cauchy(2.0).set_params(width=3.0) == Cauchy(3.0)
    refused(ValueError, "height", lambda: Cauchy().set_params(height=1))


def test_in_scikit_learn(draw: Draw) -> None:
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    x = draw.samples(40, 2)
    y = (x[:, 0] > 0).astype(int)
    model = clone(SVC(kernel=Cauchy(2.0))).fit(x, y)
    assert model.kernel == Cauchy(2.0)
    assert model.score(x, y) > 0.8
    found = GridSearchCV(SVC(kernel=Cauchy()), {"kernel__width": [0.5, 2.0]}, cv=2).fit(x, y)
    assert found.best_params_["kernel__width"] in (0.5, 2.0)


@pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning")
def test_in_a_monitor_and_its_store(tmp_path: Any, draw: Draw) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    probe = [(torch.tensor(draw.samples(8, 1, 4, 4)).float(), torch.arange(8) % 2)]
    settings: dict[str, Any] = {"bandwidth": None, "error_bandwidth": None, "every": 1, "null": 0}
    tables = {}
    for name, kernel in (("own", OwnGaussian(4.0)), ("ours", fr.Gaussian(4.0))):
        with frt.Monitor(model, probe, kernel=kernel, store=tmp_path / f"{name}.db", **settings) as monitor:
            monitor.measure(0)
            tables[name] = monitor.frame()
    columns = ["mi_input", "mi_target", "entropy"]
    columns = [name for name in columns if name in tables["own"]]
    assert columns
    np.testing.assert_allclose(tables["own"][columns], tables["ours"][columns], atol=1e-3)
    with frt.Monitor(model, probe, kernel=OwnGaussian(4.0), store=tmp_path / "own.db", **settings) as monitor:
        monitor.measure(1)  # the same settings: the run goes on
    with pytest.raises(ValueError, match="kernel"):
        frt.Monitor(model, probe, kernel=OwnGaussian(5.0), store=tmp_path / "own.db", **settings)


def test_a_matrix_of_its_own_over_a_kernel_of_ours(draw: Draw) -> None:
    class Flat(fr.Gaussian):
        def matrix(self, x: Any, y: Any) -> Any:
            return (super().matrix(x, y) + 1) / 2

    class Same(fr.Gaussian):
        pass

    x = draw.samples(6, 2)
    np.testing.assert_allclose(fr.gram(x, Flat(1.0)), (fr.gram(x, fr.Gaussian(1.0)) + 1 / 6) / 2, rtol=1e-13)
    np.testing.assert_array_equal(fr.gram(x, Same(1.0)), fr.gram(x, fr.Gaussian(1.0)))
    refused(TypeError, "kernel", lambda: fr.lazy_gram(x, Flat(1.0)))
    refused(TypeError, "kernel", lambda: fr.lazy_gram(x, Cauchy()))
    fr.lazy_gram(x, Same(1.0))


def test_on_a_device(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a GPU, on its kernels emulated on the host."""
    pytest.importorskip("fastrenyi._emulated")
    x = torch.from_numpy(draw.samples(2, 5, 3))
    right = [fr.gram(x, own) for own, _ in TWINS]
    monkeypatch.setitem(fr._backend.MODULES, "cpu", "_emulated")  # type: ignore[attr-defined]
    for (own, _), expected in zip(TWINS, right, strict=True):
        torch.testing.assert_close(fr.gram(x, own), expected)
    refused(ValueError, "Wrong.matrix", lambda: fr.gram(x, wrong(lambda k: -k)))


# ------------------------------------------------------------------------------------------------- what is refused


def wrong(change: Any) -> Any:
    class Wrong(fr.Kernel):
        def matrix(self, x: Any, y: Any) -> Any:
            return change(math.e ** -self.distances(x, y))

    return Wrong()


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (lambda k: k[..., :-1], ValueError, "shape"),
        (lambda k: k[..., 0, 0], ValueError, "shape"),
        (lambda k: k[None], ValueError, "shape"),
        (lambda k: None, TypeError, "NoneType"),
        (lambda k: k.tolist(), TypeError, "list"),
        (lambda k: k + 1j, TypeError, "complex"),
        (lambda k: torch.as_tensor(k) if isinstance(k, np.ndarray) else k.numpy(), TypeError, "library"),
    ],
)
def test_what_is_no_kernel_matrix(change: Any, error: Any, told: str, nx_dtype: Nx, draw: Draw) -> None:
    x = nx_dtype.array(draw.samples(5, 3))
    for call in (lambda: fr.gram(x, wrong(change)), lambda: wrong(change)(x, x[:4])):
        assert told in refused(error, "Wrong.matrix", call)


def tilted(k: Any) -> Any:
    k = k + 0
    k[..., 0, 1] += 0.25
    return k


def spoilt(k: Any) -> Any:
    k = k + 0
    k[..., 1, 1] = math.nan
    return k


@pytest.mark.parametrize(
    ("change", "told"),
    [(tilted, "symmetric"), (lambda k: -k, "positive diagonal"), (lambda k: 0 * k, "diagonal"), (spoilt, "finite")],
)
def test_what_is_no_gram(change: Any, told: str, nx_dtype: Nx, draw: Draw) -> None:
    x = nx_dtype.array(draw.samples(5, 3))
    assert told in refused(ValueError, "Wrong.matrix", lambda: fr.gram(x, wrong(change)))


def test_samples_are_looked_at(nx_dtype: Nx, draw: Draw) -> None:
    values = draw.samples(5, 3)
    values[2, 1] = np.nan
    assert "(2, 1)" in refused(ValueError, "x", lambda: fr.gram(nx_dtype.array(values), Cauchy()))
    refused(ValueError, "x", lambda: fr.gram(nx_dtype.array(values[:0]), Cauchy()))
    refused(TypeError, "x", lambda: fr.gram(np.arange(4)[:, None], Cauchy()))
    refused(ValueError, "bandwidth", lambda: fr.gram(nx_dtype.array(values), Cauchy(), 1.0))
    refused(ValueError, "metric", lambda: fr.Kernel.distances(values, values, "cosine"))


def test_a_kernel_that_lacks_something() -> None:
    class Empty(fr.Kernel):
        pass

    class Forgetful(Cauchy):
        def __init__(self, height: float) -> None:
            pass

    class Open(Cauchy):
        def __init__(self, *args: float) -> None:
            pass

    with pytest.raises(TypeError, match="matrix"):
        Empty()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="matrix"):
        fr.Kernel()  # type: ignore[abstract]
    assert "self.height = height" in refused(TypeError, "Forgetful", lambda: repr(Forgetful(1.0)))
    refused(TypeError, "Open", lambda: Open(1.0).get_params())
