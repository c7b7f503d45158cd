"""Layers without one of their maps: against the reference, what is degenerate, gradients and messages."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx, refused, with_value
from family import of_four_maps

FIELDS = [field.name for field in dataclasses.fields(fr.LeaveOneOut)]
BITS = [name for name in FIELDS if name != "vulnerability"]


def assert_left_out(found: Any, expected: dict[str, Any], nx: Nx, alpha: float = 1.01, n: int = 1) -> None:
    for name in BITS:
        tolerances.assert_bits(nx.values(getattr(found, name)), expected[name], nx.dtype, alpha, n=n, terms=8)
    count, joint = len(expected["without"]), expected["joint"]
    vulnerability = nx.values(found.vulnerability)
    if math.isnan(vulnerability):
        assert abs(joint) < tolerances.bits(nx.dtype, alpha, n=n, terms=8)
    else:
        of_all = expected["vulnerability"] * joint
        tolerances.assert_bits(vulnerability * joint, of_all, nx.dtype, alpha, n=n, terms=16 * count)


# ------------------------------------------------------------------------------------------------------------ numbers


def test_values_of_the_family() -> None:
    maps, y = of_four_maps()
    found = fr.leave_one_out(maps, y)
    np.testing.assert_allclose(
        found.without, [0.389826514262, 0.366399968977, 0.176217842721, 0.337308218643], atol=1e-9
    )
    np.testing.assert_allclose(found.single, [0.00673928132, 0.015938610345, 0.287284003515, 0.105548548321], atol=1e-9)
    assert found.joint == pytest.approx(0.411900328226, abs=1e-9)
    assert_left_out(found, reference.leave_one_out(maps, y), Nx("numpy", "float64"))


@pytest.mark.parametrize("count", [1, 2, 3, 6, 9])
def test_layers_match_the_reference(count: int, nx: Nx, draw: Draw) -> None:
    maps, target = draw.grams(count, 9), draw.grams(9)
    assert_left_out(fr.leave_one_out(nx.array(maps), nx.array(target)), reference.leave_one_out(maps, target), nx)


@pytest.mark.parametrize("alpha", [0.5, 1, 1.01, 2, 5, math.inf])
def test_orders(alpha: float, draw: Draw) -> None:
    maps, target = draw.matrices(5, 8), draw.grams(8)
    expected = reference.leave_one_out(maps, target, alpha)
    assert_left_out(fr.leave_one_out(maps, target, alpha), expected, Nx("numpy", "float64"), alpha, n=8)


def test_a_sequence_of_orders_is_the_last_axis(nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.grams(4, 8)), nx.array(draw.grams(8))
    orders = [1, 1.01, 2, math.inf]
    found = fr.leave_one_out(maps, target, orders)
    for k, alpha in enumerate(orders):
        one = fr.leave_one_out(maps, target, alpha)
        for name in FIELDS:
            every, single = nx.values(getattr(found, name)), nx.values(getattr(one, name))
            assert every.shape == (*single.shape, len(orders))
            tolerances.assert_bits(every[..., k], single, nx.dtype, terms=32)


def test_base(draw: Draw) -> None:
    maps, target = draw.grams(4, 8), draw.grams(8)
    bits, nats = (fr.leave_one_out(maps, target, base=base) for base in (2, math.e))
    for name in BITS:
        np.testing.assert_allclose(getattr(nats, name), getattr(bits, name) * math.log(2), rtol=0, atol=1e-10)
    assert nats.vulnerability == pytest.approx(bits.vulnerability, abs=1e-8)


def test_half_precision(nx_dtype: Nx, draw: Draw) -> None:
    maps, target = draw.grams(4, 9), draw.grams(9)
    found = fr.leave_one_out(nx_dtype.array(maps), nx_dtype.array(target))
    assert_left_out(found, reference.leave_one_out(maps, target), nx_dtype)


@pytest.mark.parametrize("lower", ["float16", "float32"])
def test_grams_that_were_made_in_a_lower_precision(lower: str, draw: Draw) -> None:
    """Of samples that repeat, rounded Grams are indefinite by more than the epsilon of their new dtype."""
    rows = draw.samples(4, 3, 2)[:, np.arange(12) % 3]
    maps = reference.over_batch(reference.gram_gaussian, rows, sigma=1.0).astype(lower).astype(np.float64)
    target = reference.gram_delta(np.arange(12) % 3 == 0)
    found, expected = fr.leave_one_out(maps, target), reference.leave_one_out(maps, target)
    for name in BITS:
        tolerances.assert_bits(getattr(found, name), expected[name], lower, terms=8)


def test_the_parts_are_the_measures(draw: Draw) -> None:
    maps, target = draw.grams(6, 10), draw.grams(10)
    found = fr.leave_one_out(maps, target)
    assert found.joint == pytest.approx(fr.mutual_information(list(maps), target), abs=1e-10)
    np.testing.assert_allclose(found.single, fr.mutual_information(maps, target), atol=1e-10)
    for i in range(6):
        rest = [maps[j] for j in range(6) if j != i]
        assert found.without[i] == pytest.approx(fr.mutual_information(rest, target), abs=1e-10)


@pytest.mark.parametrize("alpha", [1.01, [1, 2]], ids=str)
def test_of_a_decomposition(alpha: Any, nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.grams(5, 8)), nx.array(draw.grams(8))
    plain = fr.layer_decomposition(maps, target, alpha)
    layer = fr.layer_decomposition(maps, target, alpha, leave_one_out=True)
    alone = fr.leave_one_out(maps, target, alpha)
    assert plain.leave_one_out is None
    assert layer.leave_one_out is not None
    for name in FIELDS:
        np.testing.assert_array_equal(nx.values(getattr(layer.leave_one_out, name)), nx.values(getattr(alone, name)))
    np.testing.assert_array_equal(nx.values(layer.mmi), nx.values(layer.leave_one_out.joint))
    np.testing.assert_array_equal(nx.values(layer.tradeoff), nx.values(plain.tradeoff))


# --------------------------------------------------------------------------------------------------------- degenerate


def test_maps_that_say_nothing_and_the_same(nx: Nx) -> None:
    """A constant can be spared, and each of two copies; the other bit cannot."""
    labels = np.arange(24) % 4
    low, high, nothing = labels % 2, labels // 2, 0 * labels
    maps = np.stack([reference.gram_delta(x) for x in (nothing, low, low, high)])
    found = fr.leave_one_out(nx.array(maps), nx.array(reference.gram_delta(labels)), alpha=2)
    for name, value in {
        "without": [2, 2, 2, 1], "single": [0, 1, 1, 1], "joint": 2, "synergy": 0, "redundancy": 0,
        "unique_lower": 0, "unique_upper": 1, "vulnerability": 0.5,
    }.items():  # fmt: skip
        np.testing.assert_allclose(nx.values(getattr(found, name)), value, atol=1e-5)


def test_what_only_all_maps_know_is_no_maps_own(nx: Nx) -> None:
    """Without one bit of an exclusive or all is lost, and yet none knows anything alone: nothing is unique."""
    a, b = np.arange(24) % 2, np.arange(24) // 2 % 2
    maps = np.stack([reference.gram_delta(x) for x in (a, b)])
    found = fr.leave_one_out(nx.array(maps), nx.array(reference.gram_delta(a ^ b)), alpha=2)
    for name, value in {
        "without": [0, 0], "single": [0, 0], "joint": 1, "synergy": 1, "redundancy": 0,
        "unique_lower": 0, "unique_upper": 0, "vulnerability": 2,
    }.items():  # fmt: skip
        np.testing.assert_allclose(nx.values(getattr(found, name)), value, atol=1e-5)


def test_copies_and_constants_alone(draw: Draw) -> None:
    one, constant = draw.grams(7), np.full((7, 7), 1 / 7)
    target = draw.grams(7)
    found = fr.leave_one_out(np.stack([constant] * 3), target)
    assert np.isnan(found.vulnerability)
    for name in BITS:
        np.testing.assert_allclose(getattr(found, name), 0, atol=1e-9)
    copies = np.stack([one] * 4)
    assert_left_out(fr.leave_one_out(copies, target), reference.leave_one_out(copies, target), Nx("numpy", "float64"))


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_and_two_samples(n: int, count: int, draw: Draw) -> None:
    maps, target = draw.grams(count, n), draw.grams(n)
    found = fr.leave_one_out(maps, target)
    assert_left_out(found, reference.leave_one_out(maps, target), Nx("numpy", "float64"))
    assert np.isnan(found.vulnerability) == (n == 1)


def test_one_map_has_no_others(nx: Nx, draw: Draw) -> None:
    found = fr.leave_one_out(nx.array(draw.grams(1, 9)), nx.array(draw.grams(9)))
    tolerances.assert_bits(nx.values(found.without), [0.0], nx.dtype, terms=3)
    tolerances.assert_bits(nx.values(found.synergy), nx.values(found.joint), nx.dtype, terms=3)
    assert nx.values(found.vulnerability) == pytest.approx(1, abs=5e-2)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_many_maps_stay_in_range(dtype: str, draw: Draw) -> None:
    """Of 300 Grams the numbers on a diagonal would be 12^-300, which double precision does not have."""
    near_one = reference.over_batch(reference.gram_gaussian, draw.samples(300, 12, 3), sigma=6.0)
    uneven = 0.9 * near_one + 0.1 * draw.matrices(300, 12)
    target = draw.grams(12)
    for maps in (near_one, uneven):
        rounded = maps.astype(dtype)
        found = fr.leave_one_out(rounded, target.astype(dtype))
        for i in (0, 1, 150, 299):
            rest = [*maps[:i], *maps[i + 1 :]]
            expected = reference.mutual_information(rest, target)
            assert found.without[i] == pytest.approx(expected, abs=5e-3 if dtype == "float32" else 1e-9)


def test_grams_with_zeros_on_their_diagonals() -> None:
    """What is at none of the others' zeros stays; a product of nothing is refused in words."""
    maps = np.stack([np.diag(d) for d in ([0.5, 0.5, 0, 0], [0.25, 0.25, 0.5, 0], [0.25] * 4)])
    target = reference.gram_delta(np.arange(4) % 2)
    assert_left_out(fr.leave_one_out(maps, target), reference.leave_one_out(maps, target), Nx("numpy", "float64"))
    apart = np.stack([np.diag(d) for d in ([0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5], [0.25] * 4)])
    for given in (apart, torch.from_numpy(apart)):
        like = target if given is apart else torch.from_numpy(target)
        message = refused(ValueError, "maps", lambda given=given, like=like: fr.leave_one_out(given, like))
        assert "product of trace zero" in message


# ---------------------------------------------------------------------------------------------------------- arguments


def test_arguments(draw: Draw) -> None:
    gram = reference.gram_delta(np.arange(4) % 2)
    maps: Any = np.stack([gram] * 3)
    for wrong in [gram, maps[None], maps[:0]]:
        refused(ValueError, "maps", lambda wrong=wrong: fr.leave_one_out(wrong, gram))
    for kind in [None, "x", [1.0], maps.astype(int), maps * 1j]:
        refused(TypeError, "maps", lambda kind=kind: fr.leave_one_out(kind, gram))
    for wrong in [maps, gram[None], reference.gram_delta(np.arange(3))]:
        refused(ValueError, "target", lambda wrong=wrong: fr.leave_one_out(maps, wrong))
    for kind in [None, "x", gram.astype(np.float32), torch.from_numpy(gram)]:
        refused(TypeError, "target", lambda kind=kind: fr.leave_one_out(maps, kind))
    assert "(1, 2, 1)" in refused(
        ValueError, "maps", lambda: fr.leave_one_out(with_value(maps, np.nan, (1, 2, 1)), gram)
    )
    refused(ValueError, "target", lambda: fr.leave_one_out(maps, 2 * gram))
    refused(ValueError, "alpha", lambda: fr.leave_one_out(maps, gram, -1))
    refused(TypeError, "alpha", lambda: fr.leave_one_out(maps, gram, "1"))  # type: ignore[arg-type]
    refused(ValueError, "base", lambda: fr.leave_one_out(maps, gram, base=1))
    refused(TypeError, "base", lambda: fr.leave_one_out(maps, gram, base="2"))  # type: ignore[arg-type]
    for flag in [1, None, "yes"]:
        refused(TypeError, "leave_one_out", lambda flag=flag: fr.layer_decomposition(maps, gram, leave_one_out=flag))
    refused(TypeError, "maps", lambda: fr.leave_one_out(fr.lazy_gram(draw.samples(4, 2)), gram))  # type: ignore[type-var]


def test_an_indefinite_map_is_named(draw: Draw) -> None:
    maps, target = draw.grams(3, 4), draw.grams(4)
    maps[1] = np.diag([0.6, 0.6, -0.1, -0.1])
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"^maps\[1\]: expected positive semidefinite matrices"):
        fr.leave_one_out(maps, target)


def test_the_result_is_frozen_and_the_input_is_not_modified(nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.matrices(3, 6)), nx.array(draw.matrices(6))
    before = nx.values(maps).copy(), nx.values(target).copy()
    found = fr.leave_one_out(maps, target)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.joint = 0.0  # type: ignore[misc]
    np.testing.assert_array_equal(nx.values(maps), before[0])
    np.testing.assert_array_equal(nx.values(target), before[1])


# ---------------------------------------------------------------------------------------------------------- gradients


def leaves(draw: Draw, *shape: int) -> Any:
    return torch.tensor(draw.samples(*shape), requires_grad=True)


def of_samples(x: Any, y: Any, alpha: Any = 1.01) -> tuple[Any, ...]:
    found = fr.leave_one_out(fr.channel_grams(x, bandwidth=2.0), fr.gram(y, bandwidth=1.0), alpha)
    return tuple(getattr(found, name) for name in FIELDS)


@pytest.mark.parametrize("alpha", [1.01, 2.0, [0.7, 3.0]], ids=str)
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_gradients(count: int, alpha: Any, draw: Draw) -> None:
    assert torch.autograd.gradcheck(
        lambda x, y: of_samples(x, y, alpha), (leaves(draw, 6, count, 2), leaves(draw, 6, 2))
    )


def test_gradients_in_single_precision(draw: Draw) -> None:
    x, y = leaves(draw, 8, 5, 2), leaves(draw, 8, 2)
    wide = torch.autograd.grad(sum(part.sum() for part in of_samples(x, y)), (x, y))
    x32, y32 = (v.detach().float().requires_grad_() for v in (x, y))
    found = torch.autograd.grad(sum(part.sum() for part in of_samples(x32, y32)), (x32, y32))
    for narrow, exact in zip(found, wide, strict=True):
        torch.testing.assert_close(narrow.double(), exact, rtol=2e-2, atol=2e-3)


def test_gradients_of_a_decomposition(draw: Draw) -> None:
    def fields(x: Any, y: Any) -> tuple[Any, ...]:
        grams, target = fr.channel_grams(x, bandwidth=2.0), fr.gram(y, bandwidth=1.0)
        found = fr.layer_decomposition(grams, target, leave_one_out=True)
        assert found.leave_one_out is not None
        return found.tradeoff, found.leave_one_out.synergy, found.leave_one_out.without

    assert torch.autograd.gradcheck(fields, (leaves(draw, 6, 3, 2), leaves(draw, 6, 2)))


def test_a_second_derivative_is_refused(draw: Draw) -> None:
    x, y = leaves(draw, 6, 3, 2), leaves(draw, 6, 2)
    maps, target = fr.channel_grams(x, bandwidth=2.0).detach().requires_grad_(), fr.gram(y, bandwidth=1.0).detach()
    (slope,) = torch.autograd.grad(fr.leave_one_out(maps, target).without.sum(), maps, create_graph=True)
    with pytest.raises(NotImplementedError, match="expected one backward pass"):
        slope.sum().backward()


def test_mapped_and_compiled(draw: Draw) -> None:
    x, y = leaves(draw, 3, 6, 4, 2).detach(), leaves(draw, 6, 2).detach()
    mapped = torch.vmap(of_samples, in_dims=(0, None))(x, y)
    slopes = torch.vmap(torch.func.grad(lambda x, y: of_samples(x, y)[0].sum()), in_dims=(0, None))(x, y)
    torch._dynamo.reset()
    compiled = torch.compile(of_samples, fullgraph=True, backend="aot_eager")
    for k in range(3):
        one = x[k].clone().requires_grad_()
        alone = of_samples(one, y)
        torch.testing.assert_close(tuple(part[k] for part in mapped), alone)
        torch.testing.assert_close(compiled(one, y), alone)
        torch.testing.assert_close(slopes[k], torch.autograd.grad(alone[0].sum(), one)[0])


def test_the_operations_are_as_pytorch_wants_them(draw: Draw) -> None:
    maps = torch.tensor(draw.grams(4, 5))
    ops = torch.ops.fastrenyi
    torch.library.opcheck(ops.all_but_one, (maps, maps[0], [1.01], 1.0))
    torch.library.opcheck(
        ops.all_but_one_backward, (torch.ones(2, 4, 1, dtype=torch.float64), maps, maps[0], [1.01], 1.0)
    )
