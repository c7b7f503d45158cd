"""The table of representations: against plain NumPy prompt by prompt, its store, and everything that can be wrong."""

from __future__ import annotations

import gc
import math
import random
import re
import sqlite3
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import refused

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")

import pandas as pd  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402

WORDS, D, LAYERS = 30, 6, 3
Values = NDArray[np.float64]


class Output(dict[str, Any]):
    """What Hugging Face's models put out: keys that are attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Config:
    output_hidden_states = False


class Transformer(nn.Module):
    """A small random one, in the manner of Hugging Face: it puts out hidden states when it is told to."""

    def __init__(self, d: int = D, dropout: float = 0.5) -> None:
        super().__init__()
        self.config = Config()
        self.embedding = nn.Embedding(WORDS, d)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(d, 2, 8, dropout, batch_first=True) for _ in range(LAYERS)
        )
        self.register_buffer("calls", torch.zeros(()))
        self.double()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, output_hidden_states: bool = False
    ) -> Output:
        self.calls += 1
        torch.rand(1), random.random(), np.random.random()  # noqa: NPY002
        states = [self.embedding(input_ids) + torch.arange(input_ids.shape[1])[:, None] / 10]
        padding = None if attention_mask is None else attention_mask == 0
        for block in self.blocks:
            states.append(block(states[-1], src_key_padding_mask=padding))
        return Output(last=states[-1], hidden_states=tuple(states) if output_hidden_states else None)


@pytest.fixture
def seed(rng: np.random.Generator) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        yield


@pytest.fixture
def model(seed: None) -> Any:
    return Transformer()


def batch_of(rng: np.random.Generator, lengths: list[int], padding: str = "behind") -> dict[str, Tensor]:
    """Prompts with padding before, behind or between their tokens."""
    longest = max(lengths)
    mask = np.zeros((len(lengths), longest), dtype=int)
    for row, length in zip(mask, lengths, strict=True):
        places = {"behind": np.arange(length), "before": np.arange(longest - length, longest)}
        row[places[padding] if padding in places else rng.permutation(longest)[:length]] = 1
    ids = rng.integers(WORDS, size=mask.shape)
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


@pytest.fixture
def batches(rng: np.random.Generator) -> list[dict[str, Tensor]]:
    return [batch_of(rng, [9, 4, 7]), batch_of(rng, [3, 12], "before"), batch_of(rng, [5, 6, 8, 4], "between")]


# ------------------------------------------------------------------------------------------- plain NumPy


def states_of(model: Any, batches: list[dict[str, Tensor]]) -> list[list[Values]]:
    """For each layer the tokens that count of each prompt."""
    layers: list[list[Values]] = [[] for _ in range(LAYERS + 1)]
    model = model.eval()
    with torch.no_grad():
        for batch in batches:
            found = model(**batch, output_hidden_states=True).hidden_states
            for prompts, states in zip(layers, found, strict=True):
                kept = batch["attention_mask"].bool()
                prompts.extend(one[counts].numpy() for one, counts in zip(states, kept, strict=True))
    return layers


def normalized(z: Values) -> Values:
    z = z - z.mean(0)
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def entropy(k: Values, alpha: float) -> float:
    """In nats, of a matrix over its trace."""
    p = np.linalg.eigvalsh(k / np.trace(k))
    p = p[p > 1e-12]
    return float(-(p * np.log(p)).sum() if alpha == 1 else np.log((p**alpha).sum()) / (1 - alpha))


def curvature(z: Values) -> float:
    steps = np.diff(z, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    return float(np.arccos(np.clip((steps[1:] * steps[:-1]).sum(1), -1, 1)).mean())


def participation(z: Values) -> float:
    values = np.linalg.eigvalsh(np.cov(z.T))
    return float(values.sum() ** 2 / (values**2).sum())


def rank_me(z: Values) -> float:
    s = np.linalg.svd(z, compute_uv=False)
    p = s / s.sum() + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))


def lidar(x: Values) -> float:
    means = x.mean(1)
    within = np.mean([np.outer(v - m, v - m) for views, m in zip(x, means, strict=True) for v in views], 0)
    values, vectors = np.linalg.eigh(within + 1e-4 * np.eye(x.shape[2]))
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    return float(np.exp(entropy(root @ np.cov(means.T, bias=True) @ root, 1)))


def infonce(a: Values, b: Values) -> float:
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    total = 0.0
    for i in range(len(z)):
        products = np.exp(z @ z[i] / 0.1)
        total -= np.log(products[(i + len(a)) % len(z)] / (products.sum() - products[i]))
    return total / len(z)


def shares(nats: Values, n: Values, d: int) -> dict[str, Values]:
    log_n = np.log(n)
    return {
        "by_log_n": nats / log_n,
        "by_log_d": nats / math.log(d),
        "by_log_min": nats / np.minimum(log_n, math.log(d)),
        "by_log_n_log_d": nats / (log_n * math.log(d)),
    }


def of_prompts(prompts: list[Values], alpha: float, base: float) -> dict[str, Values]:
    n = np.array([len(z) for z in prompts], dtype=float)
    nats = np.array([entropy(normalized(z) @ normalized(z).T, alpha) for z in prompts])
    found = {"tokens": n, "prompt_entropy": nats / math.log(base), "effective_rank": np.exp(nats)}
    found |= {f"prompt_entropy_{by}": share for by, share in shares(nats, n, prompts[0].shape[1]).items()}
    found["participation_ratio"] = np.array([participation(z) for z in prompts])
    found["curvature"] = np.array([curvature(z) for z in prompts])
    return found


def of_dataset(means: Values, alpha: float, base: float) -> dict[str, float]:
    nats = entropy(normalized(means) @ normalized(means).T, alpha)
    n, d = means.shape
    found = {"dataset_entropy": nats / math.log(base), "dataset_effective_rank": math.exp(nats)}
    by = shares(np.array([nats]), np.array([float(n)]), d)
    found |= {f"dataset_entropy_{name}": float(share[0]) for name, share in by.items()}
    return found | {"dataset_participation_ratio": participation(means), "rank_me": rank_me(means)}


def cells(table: pd.DataFrame, depth: int, alpha: float) -> dict[str, Any]:
    rows = table[(table["depth"] == depth) & (table["alpha"].isna() | (table["alpha"] == alpha))]
    return {str(row.measure): row for row in rows.itertuples()}


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


class Puts(nn.Module):
    """A model that puts out what it is told to make of its input."""

    def __init__(self, out: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.out = out

    def forward(self, x: Tensor) -> Any:
        return self.out(x)


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


# --------------------------------------------------------------------------------------------- the store


def test_a_store_goes_on_behind_the_last_whole_minibatch(model: Any, batches: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    whole = frt.representations(model, batches, alpha=[1, 2])
    calls = model.calls.clone()

    def ended() -> Iterator[Any]:
        yield from batches[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frt.representations(model, ended(), alpha=[1, 2], store=path)
    seen = []
    hook = model.register_forward_hook(lambda *_: seen.append(1))
    pd.testing.assert_frame_equal(frt.representations(model, batches, alpha=[1, 2], store=path), whole)
    assert len(seen) == 1
    pd.testing.assert_frame_equal(frt.representations(model, batches, alpha=[1, 2], store=str(path)), whole)
    assert len(seen) == 1
    hook.remove()
    assert torch.equal(model.calls, calls)
    assert [found.name for found in tmp_path.iterdir()] == ["run.db"]
    # What a table is made with may change.
    nats = frt.representations(model, batches, alpha=[1, 2], store=path, base=math.e, dataset_kernel="gaussian")
    expected = frt.representations(model, batches, alpha=[1, 2], base=math.e, dataset_kernel="gaussian")
    pd.testing.assert_frame_equal(nats, expected)
    longer = [*batches, batches[0]]
    pd.testing.assert_frame_equal(
        frt.representations(model, longer, alpha=[1, 2], store=path), frt.representations(model, longer, alpha=[1, 2])
    )


def test_a_killed_run_leaves_whole_minibatches(tmp_path: Path) -> None:
    """By SIGKILL, in the middle of a run."""

    program = """
import sys, torch, fastrenyi.torch as frt
class Same(torch.nn.Module):
    def forward(self, x):
        return x
def batches(n):
    for k in range(n):
        yield torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(k))
frame = frt.representations(Same(), batches(int(sys.argv[2])), store=sys.argv[1])
print(frame.n_prompts.max())
"""
    path = tmp_path / "run.db"
    running = subprocess.Popen([sys.executable, "-c", program, str(path), "1000000"])
    try:
        deadline = time.monotonic() + 60
        while (not path.exists() or path.stat().st_size < 40_000) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        running.kill()
        running.wait()
    with sqlite3.connect(path) as connection:
        kept = connection.execute("SELECT count(*) FROM pieces").fetchone()[0]
    connection.close()
    assert kept > 0
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), str(kept + 1)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{2 * (kept + 1)}\n"


def test_a_store_of_something_else_is_refused(model: Any, batches: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    frt.representations(model, batches, store=path)
    for wrong, said in [
        ({"alpha": 2}, r"alpha was \[1.0\] and is \[2.0\]"),
        ({"kernel": "linear"}, "kernel was "),
        ({"tokens": "normalized"}, "tokens was 'raw' and is 'normalized'"),
        ({"layers": "blocks.0"}, "layers was None and is"),
        ({"output": "hidden_states"}, "output was None and is 'hidden_states'"),
        ({"mask": "attention_mask"}, "mask was None and is 'attention_mask'"),
    ]:
        with pytest.raises(fr.StoreError, match=said):
            frt.representations(model, batches, store=path, **wrong)
    with pytest.raises(fr.StoreError, match=r"another one as batches\[0\]; pass them in the same order"):
        frt.representations(model, batches[::-1], store=path)
    with pytest.raises(fr.StoreError, match="expected all 3 minibatches"):
        frt.representations(model, batches[:2], store=path)
    with torch.no_grad():
        model.blocks[2].linear1.weight[0, 0] += 1
    with pytest.raises(fr.StoreError, match="model was '"):
        frt.representations(model, batches, store=path)


def test_a_store_knows_functions_by_what_they_do_and_a_model_by_all_its_numbers(
    model: Any, batches: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    frt.representations(model, batches, output=lambda found: found["hidden_states"][:1], store=path)
    frt.representations(model, batches, output=lambda found: found["hidden_states"][:1], store=path)
    with pytest.raises(fr.StoreError, match="output was"):
        frt.representations(model, batches, output=lambda found: found["hidden_states"][1:2], store=path)
    last = list(model.parameters())[-1]
    with torch.no_grad():
        last.reshape(-1)[-1] += 1
    with pytest.raises(fr.StoreError, match="model was"):
        frt.representations(model, batches, output=lambda found: found["hidden_states"][:1], store=path)


def test_a_collapsed_layer_has_a_rank_of_one(batches: list[Any]) -> None:
    class Collapsed(torch.nn.Module):
        def forward(self, **given: Any) -> list[torch.Tensor]:
            mask = next(iter(given.values()))
            return [torch.ones(*mask.shape[:2], D, dtype=torch.float64)]

    with pytest.warns(UserWarning, match="all the same"):
        table = frt.representations(Collapsed(), batches)
    found = table.set_index("measure")["value"]
    assert found["rank_me"] == pytest.approx(1, abs=1e-4)
    assert math.isnan(found["dataset_entropy"])


def test_a_damaged_store_is_said(model: Any, batches: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    frt.representations(model, batches, store=path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pieces SET content = zeroblob(100) WHERE place = 1")
    connection.close()
    with pytest.raises(fr.StoreError, match="the checksum of minibatch 1"):
        frt.representations(model, batches, store=path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM pieces WHERE place = 1")
    connection.close()
    with pytest.raises(fr.StoreError, match="damaged"):
        frt.representations(model, batches, store=path)
    path.write_bytes(b"not of SQLite" * 100)
    with pytest.raises(fr.StoreError, match="not a database"):
        frt.representations(model, batches, store=path)
    monitored = tmp_path / "monitor.db"
    probe = [(torch.rand(8, 3), torch.arange(8) % 2)]
    monitor = frt.Monitor(nn.Sequential(nn.Linear(3, 2)), probe, store=monitored)
    monitor.measure(0)
    monitor.close()
    with pytest.raises(fr.StoreError, match="is not a store of representations"):
        frt.representations(model, batches, store=monitored)
    for wrong in (tmp_path, tmp_path / "absent" / "run.db"):
        with pytest.raises(fr.StoreError, match="store: expected a file"):
            frt.representations(model, batches, store=wrong)


def test_a_store_in_use_is_said(model: Any, batches: list[Any], tmp_path: Path) -> None:

    path = tmp_path / "run.db"
    held = subprocess.Popen(
        [sys.executable, "-c", "import sys; from pathlib import Path; from fastrenyi.table.writer import writer\n"
         "w = writer(Path(sys.argv[1])); w.take(); print('held', flush=True); sys.stdin.read()", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert held.stdin is not None
    assert held.stdout is not None
    try:
        held.stdout.readline()
        with pytest.raises(fr.StoreError, match="no other process writes to"):
            frt.representations(model, batches, store=path)
    finally:
        held.communicate()


# ------------------------------------------------------------------------------------------- bad input


X = torch.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("error", "name", "wrong", "said"),
    [
        (TypeError, "model", {"model": 3}, "a torch.nn.Module"),
        (TypeError, "batches", {"batches": X}, r"pass \[batch\]"),
        (TypeError, "batches", {"batches": {"x": X}}, r"pass \[batch\]"),
        (TypeError, "batches", {"batches": 3}, "an iterable of minibatches, got int"),
        (ValueError, "batches", {"batches": []}, "at least one minibatch, got none"),
        (TypeError, "batches[1]", {"batches": [X, "text"]}, "got str"),
        (TypeError, "batches[0]", {"batches": [{}]}, "got dict without tensors"),
        (ValueError, "alpha", {"alpha": -1}, "orders in"),
        (ValueError, "base", {"base": 1}, "a base above 1"),
        (ValueError, "kernel", {"kernel": "round"}, "one of"),
        (ValueError, "kernel", {"dataset_kernel": "round"}, "one of"),
        (ValueError, "tokens", {"tokens": "scaled"}, "'raw' or 'normalized'"),
        (ValueError, "by", {"by": "batch"}, "'layer' or 'prompt'"),
        (ValueError, "views", {"views": 0}, "at least 1"),
        (TypeError, "views", {"views": 2.0}, "an integer"),
        (TypeError, "batches[0]", {"views": 2}, "a list of 2 views of the same prompts, got Tensor"),
        (TypeError, "batches[0]", {"views": 2, "batches": [[X, X, X]]}, "got 3 items"),
        (ValueError, "batches[0][1]", {"views": 2, "batches": [(X, X[:1])]}, "prompts as the first view has, 2"),
        (TypeError, "progress", {"progress": 1}, "True or False"),
        (TypeError, "store", {"store": 3}, "the path of a file"),
        (ValueError, "layers", {"layers": "absent"}, "did you mean|names of layers"),
        (ValueError, "select", {"select": {"a": 0}}, "None where no layers are chosen"),
        (ValueError, "output", {"output": 0, "layers": ""}, "None where layers are chosen"),
        (TypeError, "output", {"output": 1.5}, "an index, a key or a function"),
        (ValueError, "output", {"output": "absent"}, "got 'absent'"),
        (TypeError, "mask", {"mask": 1.5}, "an index, a key or a function"),
        (ValueError, "mask", {"mask": "absent"}, "got 'absent'"),
        (TypeError, "batches[0]: mask", {"mask": lambda x: [1, 1]}, "got list"),
        (ValueError, "batches[0]: mask", {"mask": lambda x: torch.ones(2, 3, 4)}, r"shape \(2, 3, 4\)"),
        (ValueError, "batches[0]: mask", {"mask": lambda x: 2 * torch.ones(2, 3)}, "zeros and ones, got 2"),
        (ValueError, "batches[0]: mask", {"mask": lambda x: torch.tensor([[1, 1, 1], [0, 0, 0]])}, "none in prompt 1"),
        (ValueError, "batches[0]", {"mask": lambda x: torch.ones(2, 4)}, "4 tokens of the mask, got shape"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(error: type[Exception], name: str, wrong: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"model": Puts(lambda x: x), "batches": [X], **wrong}
    message = refused(error, name, lambda: frt.representations(given.pop("model"), given.pop("batches"), **given))
    assert re.search(said, message), message


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (lambda x: None, "got NoneType"),
        (lambda x: x[0], r"torch.float32 of shape \(3, 4\) in '0'"),
        (lambda x: x.long(), "torch.int64 of shape"),
        (lambda x: (x.sum(), [x, x]), r"torch.float32 of shape \(\) in '0'"),
        (lambda x: {"logits": x, "past": (x, x)}, r"a tuple in 'past' of shapes \(2, 3, 4\), \(2, 3, 4\)"),
        (lambda x: Output(last=x, hidden_states=None, pooled=x[:, 0]), "got a NoneType in 'hidden_states'|shape"),
    ],
)
def test_models_without_hidden_states(out: Callable[[Tensor], Any], said: str) -> None:
    message = refused(TypeError, "output", lambda: frt.representations(Puts(out), [X]))
    assert re.search(said, message), message
    assert "name them with output=, or choose layers with layers=" in message


def test_numbers_that_are_not_finite_are_named_with_their_layer_and_prompt() -> None:
    def broken(x: Tensor) -> Any:
        wrong = x.clone()
        wrong[1, 2, 0] = math.nan
        return [x, wrong]

    model = Puts(lambda x: broken(x) if x.sum() > 300 else [x, x])
    message = refused(ValueError, "batches[1], layer '1'", lambda: frt.representations(model, [X, X + 10]))
    assert "got nan in prompt 1, token 2 of those that count" in message
    # Padding is nobody's.
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    frt.representations(Puts(broken), [X + torch.rand(2, 3, 4)], mask=lambda x: mask)


def test_layers_of_other_tokens_are_named() -> None:
    message = refused(ValueError, "batches[0]", lambda: frt.representations(Puts(lambda x: [x, x[:, :2]]), [X]))
    assert "2 prompts and 3 tokens of the first layer, got shape (2, 2, 4) of layer '1'" in message


def test_layers_that_come_and_go_are_named() -> None:
    model = Puts(lambda x: [x] if x.sum() > 300 else [x, x])
    message = refused(ValueError, "model", lambda: frt.representations(model, [X, X + 10]))
    assert "the same layers for each minibatch, 0, 1, got 0 for batches[1]" in message
    message = refused(ValueError, "batches[0][1]", lambda: frt.representations(model, [(X, X + 10)], views=2))
    assert "no '1'" in message


def test_a_kernel_that_cannot_take_tokens_is_told_with_the_layer() -> None:
    x = X.clone()
    x[0, 1] = 0
    message = refused(
        ValueError, "batches[0], layer '0'", lambda: frt.representations(Puts(lambda x: x), [x], kernel="cosine")
    )
    assert "the cosine kernel divides by their length" in message
