"""An average over minibatches is the plain mean and standard error of what the measure returned."""

from __future__ import annotations

import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402


@pytest.mark.parametrize("alpha", [1.01, [0.5, 2.0]])
def test_mean_and_standard_error(alpha: float | list[float], rng: np.random.Generator) -> None:
    batches = [torch.tensor(rng.normal(size=(10, 3)) * k, dtype=torch.float32) for k in (1, 2, 5, 9)]
    average = frt.Average(lambda x: fr.entropy(fr.gram(x, bandwidth=1.0), alpha))
    for _ in range(2):
        values = np.array([average.update(x.clone().requires_grad_()).numpy() for x in batches], dtype=np.float64)
        found = average.compute()
        assert found.mean.dtype == torch.float64
        np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.standard_error, values.std(axis=0, ddof=1) / 2, rtol=1e-9)
        average.reset()


def test_far_from_zero_and_one_minibatch() -> None:
    average = frt.Average(torch.as_tensor)
    average.update(torch.tensor(1e9, dtype=torch.float64))
    assert average.compute().standard_error.isnan()
    average.update(torch.tensor(1e9 + 1, dtype=torch.float64))
    assert float(average.compute().standard_error) == pytest.approx(0.5)


def test_what_is_wrong_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^measure: expected a function of a minibatch"):
        frt.Average(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^measure: expected a function that returns a tensor"):
        frt.Average(lambda x: 3.0).update(1)  # type: ignore[arg-type,return-value]
    average = frt.Average(torch.as_tensor)
    with pytest.raises(ValueError, match=r"^update: expected at least one minibatch"):
        average.compute()
    average.update(torch.ones(2))
    with pytest.raises(ValueError, match=r"^measure: expected results of one shape"):
        average.update(torch.ones(3))
    assert average.count == 1


def test_its_repr_has_a_name_and_a_count_and_no_address() -> None:
    average = frt.Average(torch.mean)
    average.update(torch.ones(2))
    assert repr(average) == "Average(mean, count=1)"
    assert repr(frt.Average(torch.nn.MSELoss())) == "Average(MSELoss, count=0)"
    assert repr(frt.Average(functools.partial(torch.mean, dim=0))) == "Average(partial, count=0)"
