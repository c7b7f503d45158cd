"""Everything that can be wrong with representations: messages name the minibatch, the layer and the prompt."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import language_models
from conftest import refused
from language_models import (
    Output,
    Puts,
)

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402


@pytest.fixture
def model(rng: np.random.Generator) -> Any:
    return language_models.transformer(rng)


@pytest.fixture
def batches(rng: np.random.Generator) -> list[dict[str, Tensor]]:
    return language_models.three_batches(rng)


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
