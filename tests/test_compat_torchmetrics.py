"""fastrenyi.compat.torchmetrics: all minibatches and processes as one, and what torchmetrics asks of a metric."""

from __future__ import annotations

import copy
import faulthandler
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchmetrics = pytest.importorskip("torchmetrics")
import torch.distributed as dist  # noqa: E402
from torchmetrics import MetricCollection  # noqa: E402

import fastrenyi as fr  # noqa: E402
from conftest import refused  # noqa: E402
from fastrenyi.compat.torchmetrics import (  # noqa: E402
    EffectiveRank,
    RenyiEntropy,
    RenyiMutualInformation,
    VendiScore,
)

X = torch.randn(24, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(24) % 3

METRICS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "entropy": (lambda **o: RenyiEntropy(bandwidth=1.0, **o), lambda x, y: fr.entropy(fr.gram(x, bandwidth=1.0))),
    "information": (
        lambda **o: RenyiMutualInformation(bandwidth=1.0, **o),
        lambda x, y: fr.mutual_information(fr.gram(x, bandwidth=1.0), fr.gram(y, fr.Delta(x.dtype))),
    ),
    "vendi": (lambda **o: VendiScore(**o), lambda x, y: fr.vendi_score(len(x) * fr.gram(x, "cosine"))),
    "rank": (lambda **o: EffectiveRank(**o), lambda x, y: fr.effective_rank(fr.gram(x, "linear"), power=0.5)),
}


@pytest.fixture(params=METRICS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def given(kind: str, x: Any, y: Any) -> tuple[Any, ...]:
    return (x, y) if kind == "information" else (x,)


def of_all(kind: str, x: Any = X, y: Any = Y) -> float:
    return float(METRICS[kind][1](x, y))


def updated(metric: Any, kind: str, x: Any = X, y: Any = Y, size: int = 7) -> Any:
    for minibatch in zip(x.split(size), y.split(size), strict=True):
        metric.update(*given(kind, *minibatch))
    return metric


def test_all_minibatches_are_one(kind: str) -> None:
    metric = updated(METRICS[kind][0](), kind)
    assert float(metric.compute()) == pytest.approx(of_all(kind), abs=1e-10)
    metric.reset()
    assert float(updated(metric, kind, X[:9], Y[:9]).compute()) == pytest.approx(of_all(kind, X[:9], Y[:9]), abs=1e-10)


def test_forward_is_of_the_minibatch(kind: str) -> None:
    for settings in ({}, {"max_samples": 1000}):
        metric = METRICS[kind][0](**settings)
        for part in (slice(0, 10), slice(10, 24)):
            found = metric(*given(kind, X[part], Y[part]))
            assert float(found) == pytest.approx(of_all(kind, X[part], Y[part]), abs=1e-10)
        assert float(metric.compute()) == pytest.approx(of_all(kind), abs=1e-10)


def test_copies_pickles_and_merges(kind: str) -> None:
    for settings in ({}, {"max_samples": 10}):
        metric = updated(METRICS[kind][0](**settings), kind)
        expected = float(metric.compute())
        for copied in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric), metric.clone()):
            assert float(copied.compute()) == expected
            assert float(updated(copied, kind).compute()) == float(updated(metric.clone(), kind).compute())
    first, second = (updated(METRICS[kind][0](), kind, X[part], Y[part]) for part in (slice(0, 10), slice(10, 24)))
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(of_all(kind), abs=1e-10)


def test_dtypes(kind: str) -> None:
    for dtype, result in [
        (torch.float32, torch.float32),
        (torch.float16, torch.float32),
        (torch.float64, torch.float64),
    ]:
        found = updated(METRICS[kind][0](), kind, X.to(dtype)).compute()
        assert found.dtype == result
        assert float(found) == pytest.approx(of_all(kind), rel=1e-2 if dtype == torch.float16 else 1e-4)
    assert METRICS[kind][0]().to("cpu").set_dtype(torch.float64).device == torch.device("cpu")


def test_gradients(kind: str) -> None:
    metric = METRICS[kind][0]()
    assert metric.is_differentiable
    x = X[:6].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: METRICS[kind][0]()(*given(kind, x, Y[:6])), (x,))
    updated(metric, kind, x, Y[:6])
    assert not metric.compute().requires_grad


def test_in_a_collection() -> None:
    collection = MetricCollection({name: make() for name, (make, _) in METRICS.items()}, prefix="train/")
    for x, y in zip(X.split(7), Y.split(7), strict=True):
        collection.update(x=x, y=y)
    for _ in range(2):  # the second time those of the same states share them
        found = collection.compute()
        for name in METRICS:
            assert float(found[f"train/{name}"]) == pytest.approx(of_all(name), abs=1e-10)
    collection.reset()
    collection.update(x=X, y=Y)
    assert float(collection.compute()["train/vendi"]) == pytest.approx(of_all("vendi"), abs=1e-10)
    total = RenyiEntropy(bandwidth=1.0) + 1  # arithmetic of metrics
    total.update(X)
    assert float(total.compute()) == pytest.approx(of_all("entropy") + 1, abs=1e-10)


def test_what_torchmetrics_asks() -> None:
    directions = {name: make().higher_is_better for name, (make, _) in METRICS.items()}
    assert directions == {"entropy": None, "information": None, "vendi": True, "rank": True}
    assert not RenyiEntropy().full_state_update
    assert RenyiEntropy(max_samples=3).full_state_update


def test_plot(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    import matplotlib.pyplot as plt

    figure, axes = updated(METRICS[kind][0](), kind).plot()
    assert axes.has_data()
    plt.close(figure)


def test_settings() -> None:
    x = X.reshape(24, 3, 1)
    orders = [0.5, 2]
    for metric, expected in [
        (RenyiEntropy("laplacian", 2.0, orders, base=10), fr.entropy(fr.gram(X, "laplacian", 2.0), orders, 10)),
        (VendiScore(fr.Gaussian("median"), q=2), fr.vendi_score(24 * fr.gram(X, "gaussian", "median"), 2)),
        (
            EffectiveRank(fr.Linear("samples", normalized=True), power=1),
            fr.effective_rank(fr.gram(X, fr.Linear("samples", normalized=True))),
        ),
    ]:
        metric.update(x)
        torch.testing.assert_close(metric.compute(), expected, atol=1e-10, rtol=0)
    information = RenyiMutualInformation("gaussian", 2.0, alpha=2)
    information.update(x, X[:, :1])
    expected = fr.mutual_information(fr.gram(X, bandwidth=2.0), fr.gram(X[:, :1], bandwidth=2.0), alpha=2)
    torch.testing.assert_close(information.compute(), expected, atol=1e-10, rtol=0)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # of MutualInfoScore's sparse table
def test_classes_as_torchmetrics_has_them() -> None:
    from torchmetrics.clustering import MutualInfoScore

    other = torch.randint(4, (24,), generator=torch.Generator().manual_seed(1))
    ours, theirs = RenyiMutualInformation("delta", alpha=1, base=np.e), MutualInfoScore()
    for metric in (ours, theirs):
        metric.update(other[:10], Y[:10])
        metric.update(other[10:], Y[10:])
    assert float(ours.compute()) == pytest.approx(float(theirs.compute()), abs=1e-5)


# -------------------------------------------------------------------------------------------- a sample of the samples


def kept(metric: Any) -> set[float]:
    return {float(x) for part in metric.x for x in part[:, 0]}


def test_a_uniform_sample() -> None:
    """Of minibatches of other sizes each sample is kept as often; the sample of one seed is the same."""
    x, counts = torch.arange(40.0)[:, None], np.zeros(40)
    for seed in range(300):
        metric = RenyiEntropy(max_samples=10, seed=seed)
        for minibatch in x.split([1, 3, 16, 20]):
            metric.update(minibatch)
            assert sum(map(len, metric.x)) <= 10
        for value in kept(metric):
            counts[int(value)] += 1
    assert counts.sum() == 3000
    assert abs(counts - 75).max() < 5 * np.sqrt(75)  # 40 numbers of mean 75
    first, same, other = (RenyiEntropy(max_samples=10, seed=seed) for seed in (0, 0, 1))
    for metric in (first, same, other):
        metric.update(x)
    assert kept(first) == kept(same) != kept(other)


def test_forward_stays_within_the_sample(kind: str) -> None:
    metric = METRICS[kind][0](max_samples=10)
    for _ in range(4):
        metric(*given(kind, X, Y))
        assert sum(map(len, metric.x)) == 10
    if kind == "information":  # pairs stay together
        rows = {tuple(row.tolist()): int(label) for row, label in zip(X, Y, strict=True)}
        assert all(rows[tuple(x.tolist())] == int(y) for x, y in zip(metric.x[0], metric.y[0], strict=True))


# ----------------------------------------------------------------------------------------------------- two processes


def working(rank: int, folder: Path) -> None:
    """What one of two processes does: its share of the samples, and the measures of all."""
    faulthandler.dump_traceback_later(300, exit=True)  # a process that waits for the other one for ever
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    mine = slice(0, 17) if rank == 0 else slice(17, 24)
    told: dict[str, Any] = {}
    for kind, (make, _) in METRICS.items():
        metric = updated(make(), kind, X[mine], Y[mine], 5)
        told[kind] = [float(metric.compute())]
        told[kind].append(float(updated(metric, kind, X[:1], Y[:1]).compute()))  # what was gathered is let go again
        together = make(dist_sync_on_step=True)
        told[kind].append(float(together(*given(kind, X[mine], Y[mine]))))
    metric = RenyiEntropy(max_samples=10)
    metric.update(X[mine])
    metric.sync()
    told["sampled"] = len(metric._sampled()[0])
    told["values"] = sorted(metric._sampled()[0][:, 0].tolist())
    metric.unsync()
    (folder / f"told{rank}.json").write_text(json.dumps(told))
    dist.barrier()  # neither leaves while the other one may still wait for it
    dist.destroy_process_group()
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    if not (dist.is_available() and dist.is_gloo_available()):
        pytest.skip("needs gloo")
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(working, (folder,), nprocs=2)
    return [json.loads((folder / f"told{rank}.json").read_text()) for rank in (0, 1)]


def test_two_processes_measure_what_one_does(told: list[Any], kind: str) -> None:
    twice = torch.cat([X, X[:1], X[:1]]), torch.cat([Y, Y[:1], Y[:1]])
    for process in told:
        np.testing.assert_allclose(process[kind][0], of_all(kind), rtol=0, atol=1e-10)
        np.testing.assert_allclose(process[kind][1], of_all(kind, *twice), rtol=0, atol=1e-10)
        np.testing.assert_allclose(process[kind][2], of_all(kind), rtol=0, atol=1e-10)


def test_a_sample_of_those_of_two_processes(told: list[Any]) -> None:
    assert told[0]["sampled"] == told[1]["sampled"] == 10
    assert told[0]["values"] == told[1]["values"]
    first, second = (set(X[part, 0].tolist()) for part in (slice(0, 17), slice(17, 24)))
    found = set(told[0]["values"])
    assert len(found & first) + len(found & second) == 10
    assert found & first
    assert found & second  # that none of 7 in 24 is among 10 has a chance of 0.01, and of this seed it is known


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")
def test_wrong_settings_and_minibatches(kind: str) -> None:
    make = METRICS[kind][0]
    for name, wrong in [("max_samples", 0), ("seed", -1)]:
        refused(ValueError, name, lambda name=name, wrong=wrong: make(**{name: wrong}))
        refused(TypeError, name, lambda name=name: make(**{name: "many"}))
    with pytest.raises(ValueError, match="Unexpected keyword"):
        make(sigma=1.0)
    refused(ValueError, "update", make().compute)
    metric = make()
    metric.update(*given(kind, X, Y))
    refused(ValueError, "x", lambda: metric.update(*given(kind, X[:, :2], Y)))
    refused(TypeError, "x", lambda: metric.update(*given(kind, X.float(), Y)))
    for wrong, error in [(X.numpy(), TypeError), (X.long(), TypeError), (X[:0], ValueError), (X[0, 0], ValueError)]:
        refused(error, "x", lambda wrong=wrong: metric.update(*given(kind, wrong, Y)))
    assert float(metric.compute()) == pytest.approx(of_all(kind), abs=1e-10)  # as if nothing had come


def test_wrong_settings_of_each() -> None:
    for make in (RenyiEntropy, RenyiMutualInformation):
        refused(ValueError, "kernel", lambda make=make: make("rbf"))
        refused(ValueError, "bandwidth", lambda make=make: make(bandwidth=-1.0))
        refused(ValueError, "alpha", lambda make=make: make(alpha=-1))
        refused(ValueError, "base", lambda make=make: make(base=1))
    refused(ValueError, "kernel", lambda: VendiScore("rbf"))
    refused(ValueError, "q", lambda: VendiScore(q=-1))
    refused(TypeError, "kernel", lambda: EffectiveRank("linear"))  # type: ignore[arg-type]
    refused(ValueError, "alpha", lambda: EffectiveRank(alpha=-1))
    refused(ValueError, "power", lambda: EffectiveRank(power=0))
    information = RenyiMutualInformation()
    refused(ValueError, "y", lambda: information.update(X, Y[:3]))
    refused(TypeError, "y", lambda: information.update(X, Y.numpy()))
    refused(ValueError, "y", lambda: information.update(X, Y[:0]))
    information.update(X, Y)
    refused(TypeError, "y", lambda: information.update(X, Y.double()))


def test_numbers_that_are_none_are_named(kind: str) -> None:
    metric = METRICS[kind][0]()
    bad = X.clone()
    bad[3, 1] = torch.nan
    metric.update(*(bad, Y)[: len(metric.variables)])
    refused(ValueError, "x", metric.compute)
