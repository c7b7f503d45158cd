"""The table of representations: against plain NumPy prompt by prompt, whatever models put out."""

from __future__ import annotations

import gc
import math
import random
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import language_models
from language_models import (
    D,
    Puts,
    batch_of,
    cells,
    curvature,
    entropy,
    infonce,
    lidar,
    normalized,
    of_dataset,
    of_prompts,
    states_of,
)

torch = pytest.importorskip("torch")

import pandas as pd  # noqa: E402
from torch import Tensor  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402


@pytest.fixture
def model(rng: np.random.Generator) -> Any:
    return language_models.transformer(rng)


@pytest.fixture
def batches(rng: np.random.Generator) -> list[dict[str, Tensor]]:
    return language_models.three_batches(rng)


@pytest.mark.parametrize("base", [2, math.e])
def test_every_number_is_that_of_plain_numpy(model: Any, batches: list[Any], base: float) -> None:
    table = frt.representations(model, batches, alpha=[1, 2, 0.5], base=base)
    assert list(table.columns) == ["depth", "layer", "measure", "alpha", "value", "standard_error", "n_prompts"]
    assert list(table["layer"].unique()) == ["0", "1", "2", "3"]
    for depth, prompts in enumerate(states_of(model, batches)):
        means = np.stack([z.mean(0) for z in prompts])
        for alpha in (1, 2, 0.5):
            found = cells(table, depth, alpha)
            expected = of_prompts(prompts, alpha, base)
            together = of_dataset(means, alpha, base)
            assert found.keys() == expected.keys() | together.keys()
            for name, values in expected.items():
                row = found[name]
                assert row.n_prompts == 9
                mean, error = values.mean(), values.std(ddof=1) / 3
                if name == "effective_rank":
                    logs = np.log(values)
                    mean, error = np.exp(logs.mean()), np.exp(logs.mean()) * logs.std(ddof=1) / 3
                assert row.value == pytest.approx(mean, rel=1e-6 if alpha < 1 else 1e-8)
                assert row.standard_error == pytest.approx(error, rel=1e-4 if alpha < 1 else 1e-6)
            for name, value in together.items():
                # Below order one the rounding of what centring has made zero counts by its root.
                close = 1e-6 if name == "rank_me" or alpha < 1 else 1e-8
                assert found[name].value == pytest.approx(value, rel=close)
                assert math.isnan(found[name].standard_error)
                assert found[name].n_prompts == 9


def test_numbers_of_each_prompt(model: Any, batches: list[Any]) -> None:
    table = frt.representations(model, batches, by="prompt")
    assert list(table.columns) == ["prompt", "depth", "layer", "measure", "alpha", "value"]
    for depth, prompts in enumerate(states_of(model, batches)):
        for name, values in of_prompts(prompts, 1, 2).items():
            rows = table[(table["depth"] == depth) & (table["measure"] == name)]
            assert rows["prompt"].tolist() == list(range(9))
            np.testing.assert_allclose(rows["value"], values, rtol=1e-8)


def test_more_tokens_than_features_take_the_smaller_side(model: Any, rng: np.random.Generator) -> None:
    batch = batch_of(rng, [40, 3 * D, D, D - 1])
    table = frt.representations(model, [batch])
    prompts = states_of(model, [batch])[2]
    assert cells(table, 2, 1)["prompt_entropy"].value == pytest.approx(
        of_prompts(prompts, 1, 2)["prompt_entropy"].mean()
    )


def test_batches_do_not_matter(model: Any, batches: list[Any], rng: np.random.Generator) -> None:
    """A prompt has the same numbers alone, in double precision."""
    batch = batches[0]
    alone = [{k: v[i : i + 1, : int(batch["attention_mask"][i].sum())] for k, v in batch.items()} for i in range(3)]
    together, apart = (frt.representations(model, given) for given in ([batch], alone))
    pd.testing.assert_frame_equal(together, apart, rtol=1e-9)


def test_normalized_tokens_are_those_of_the_released_harness(model: Any, batches: list[Any]) -> None:
    table = frt.representations(model, batches, tokens="normalized", dataset_kernel="linear")
    prompts = states_of(model, batches)[3]
    means = np.stack([normalized(z).mean(0) for z in prompts])
    found = cells(table, 3, 1)
    assert found["dataset_entropy"].value == pytest.approx(entropy(means @ means.T, 1) / math.log(2))
    assert found["curvature"].value == pytest.approx(np.mean([curvature(normalized(z)) for z in prompts]))
    plain = cells(frt.representations(model, batches), 3, 1)
    assert found["prompt_entropy"].value == plain["prompt_entropy"].value


@pytest.mark.parametrize("kernel", ["linear", "gaussian", fr.Cosine(), fr.Gaussian(2.0)], ids=str)
def test_other_kernels(model: Any, batches: list[Any], kernel: Any) -> None:
    table = frt.representations(model, batches, kernel=kernel)
    prompts = states_of(model, batches)[1]
    expected = [float(fr.entropy(fr.gram(z, kernel), 1)) for z in prompts]
    assert cells(table, 1, 1)["prompt_entropy"].value == pytest.approx(np.mean(expected))
    means = np.stack([z.mean(0) for z in prompts])
    assert cells(table, 1, 1)["dataset_entropy"].value == pytest.approx(float(fr.entropy(fr.gram(means, kernel), 1)))


def test_two_views(model: Any, batches: list[Any], rng: np.random.Generator) -> None:
    others = [batch_of(rng, [3 + i for i in range(len(batch["input_ids"]))]) for batch in batches]
    table = frt.representations(model, list(zip(batches, others, strict=True)), views=2, alpha=[1, 2], base=math.e)
    first, second = states_of(model, batches)[2], states_of(model, others)[2]
    a, b = (np.stack([z.mean(0) for z in prompts]) for prompts in (first, second))
    found = cells(table, 2, 2)
    assert found["lidar"].value == pytest.approx(lidar(np.stack([a, b], 1)))
    assert found["infonce"].value == pytest.approx(infonce(a, b))
    one, other = (normalized(view) @ normalized(view).T / len(view) for view in (a, b))
    excess = fr.permutation_test(one, other, 10, alpha=2, base=math.e).excess
    assert found["dime"].value == pytest.approx(float(excess))
    alone = frt.representations(model, batches, alpha=[1, 2], base=math.e)
    known = table[~table["measure"].isin(["lidar", "infonce", "dime"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(known, alone)


def test_three_views_have_lidar_alone(model: Any, batches: list[Any]) -> None:
    table = frt.representations(model, [(batch, batch, batch) for batch in batches], views=3)
    assert set(table["measure"]) & {"lidar", "infonce", "dime"} == {"lidar"}


# ------------------------------------------------------------------------------- what models put out


@pytest.mark.parametrize(
    ("out", "names"),
    [
        (lambda x: x, ["0"]),
        (lambda x: (x, 2 * x), ["0", "1"]),
        (lambda x: [x, 2 * x], ["0", "1"]),
        (lambda x: {"a": x, "b": x}, ["a", "b"]),
        (lambda x: {"logits": x.sum(), "hidden_states": [x, x]}, ["0", "1"]),
    ],
)
def test_kinds_of_output(out: Callable[[Tensor], Any], names: list[str], rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.normal(size=(3, 5, 4)))
    table = frt.representations(Puts(out), [x])
    assert list(table["layer"].unique()) == names
    expected = np.mean([entropy(normalized(z) @ normalized(z).T, 1) for z in x.numpy()]) / math.log(2)
    assert table[table["measure"] == "prompt_entropy"]["value"].tolist() == pytest.approx([expected] * len(names))


@pytest.mark.parametrize("output", [1, lambda found: found[1]], ids=["index", "function"])
def test_output_names_where_they_are(output: Any, rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.normal(size=(3, 5, 4)))
    table = frt.representations(Puts(lambda x: (x.sum(), {"a": x, "b": x})), [x], output=output)
    assert list(table["layer"].unique()) == ["a", "b"]


def test_layers_as_in_capture(model: Any, batches: list[Any]) -> None:
    """An embedding's outputs are the first hidden states but for the positions."""
    table = frt.representations(model, batches, layers=["blocks.0", "blocks.2"])
    whole = frt.representations(model, batches)
    assert list(table["layer"].unique()) == ["blocks.0", "blocks.2"]
    for name, depth in {"blocks.0": 1, "blocks.2": 3}.items():
        rows = table[table["layer"] == name]["value"].to_numpy()
        np.testing.assert_allclose(rows, whole[whole["depth"] == depth]["value"].to_numpy(), rtol=1e-9)


def test_a_mask_of_ones_own(rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.normal(size=(3, 5, 4)))
    x[:, 3:] = 0
    table = frt.representations(Puts(lambda x: x), [x], mask=lambda x: (x != 0).any(-1))
    pd.testing.assert_frame_equal(table, frt.representations(Puts(lambda x: x), [x[:, :3]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_lower_precision_is_computed_in_single(dtype: torch.dtype, rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.normal(size=(3, 9, 4))).to(dtype)
    low, high = (frt.representations(Puts(lambda x: x), [given]) for given in (x, x.double()))
    np.testing.assert_allclose(low["value"], high["value"], rtol=2e-5)


def test_labels_of_a_minibatch_are_not_the_models(model: Any, batches: list[Any]) -> None:
    labelled = [{**batch, "labels": batch["input_ids"]} for batch in batches]
    pd.testing.assert_frame_equal(frt.representations(model, labelled), frt.representations(model, batches))


def test_the_model_and_random_states_are_left_alone(model: Any, batches: list[Any]) -> None:
    model.train()
    model.blocks[1].eval()
    model.requires_grad_(True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    loader = torch.utils.data.DataLoader(batches, batch_size=None, shuffle=True)
    first = frt.representations(model, loader)
    assert model.training
    assert not model.blocks[1].training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]  # noqa: NPY002
    pd.testing.assert_frame_equal(first, frt.representations(model, loader))  # dropout is off


def test_batches_are_a_stream(model: Any, batches: list[Any]) -> None:
    alive: list[Any] = []

    def stream() -> Iterator[dict[str, Tensor]]:
        for batch in batches:
            gc.collect()
            assert sum(ref() is not None for ref in alive) <= 1
            given = {key: value.clone() for key, value in batch.items()}
            alive.append(weakref.ref(given["input_ids"]))
            yield given
            del given

    frt.representations(model, stream())
    assert len(alive) == 3


def test_progress_is_a_bar(model: Any, batches: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    frt.representations(model, batches, progress=True)
    assert "3/3" in capsys.readouterr().err
    frt.representations(model, batches)
    assert capsys.readouterr() == ("", "")


# --------------------------------------------------------------------------------- prompts without a spread


def test_a_prompt_without_a_spread_is_left_out(rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 6, 4))
    x[1] = x[1, 0]  # all the same
    mask = np.ones((5, 6), dtype=int)
    mask[2, 1:] = 0  # one token
    mask[4, 2:] = 0  # two
    with pytest.warns(UserWarning, match=r"in layer '0' 2 of 5 prompts .* \(the first is prompt 1\)"):
        table = frt.representations(Puts(lambda x: x), [torch.from_numpy(x)], mask=lambda x: torch.from_numpy(mask))
    found = cells(table, 0, 1)
    prompts = [x[0], x[3], x[4, :2]]
    assert found["tokens"].n_prompts == 5
    assert found["tokens"].value == pytest.approx(mask.sum(1).mean())
    assert found["prompt_entropy"].n_prompts == found["participation_ratio"].n_prompts == 3
    nats = np.array([entropy(normalized(z) @ normalized(z).T, 1) for z in prompts])
    assert found["prompt_entropy"].value == pytest.approx(nats.mean() / math.log(2), abs=1e-12)
    assert found["curvature"].n_prompts == 2
    assert found["curvature"].value == pytest.approx((curvature(x[0]) + curvature(x[3])) / 2)
    assert found["dataset_entropy"].n_prompts == 5


@pytest.mark.parametrize("kernel", ["linear", "gaussian", fr.Linear("both")], ids=str)
def test_nothing_but_prompts_without_a_spread(kernel: Any, rng: np.random.Generator) -> None:
    x = torch.from_numpy(np.repeat(rng.normal(size=(1, 1, 4)), 3, 0))
    with pytest.warns(UserWarning, match="3 of 3 prompts"):
        table = frt.representations(Puts(lambda x: x), [x], kernel=kernel)
    assert table[~table["measure"].isin(["tokens", "rank_me"])]["value"].isna().all()
    assert table[table["measure"] == "rank_me"]["value"].item() == pytest.approx(1, abs=1e-4)
    with pytest.warns(UserWarning, match="3 of 3 prompts"):
        table = frt.representations(Puts(lambda x: x), [(x, x)], kernel=kernel, views=2)
    assert table[table["measure"] == "lidar"]["value"].isna().all()


def test_tokens_that_are_the_same_but_for_rounding_have_no_spread(rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.normal(size=(2, 7, 4))).float()
    x[1] = x[1, :1] * (1 + 1e-7 * torch.arange(7.0)[:, None])
    with pytest.warns(UserWarning, match=r"1 of 2 prompts .* \(the first is prompt 1\)"):
        frt.representations(Puts(lambda x: x), [x])
