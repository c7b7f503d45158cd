"""The GPU's kernels of pairs on the host: products made in registers, pairs of all kinds, what is reported."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

import reference
import tolerances
from conftest import Draw, Nx
from emulated import MEMORY, NUMPY, STREAM, Status, kernels, view, workspace, written

FLOATS = pytest.mark.parametrize("dtype", ["float64", "float32"])
ORDERS = [[1.01], [2.0], [0.5, 1.0, 2.0, math.inf]]


def all_pairs(count: int) -> NDArray[np.int64]:
    return np.array(list(itertools.combinations_with_replacement(range(count), 2)), dtype=np.int64)


def pairs(
    maps: NDArray,
    target: NDArray | None,
    index: NDArray[np.int64],
    orders: Sequence[float],
    unit: float = 1.0,
    fault: tuple[str, int] | None = None,
) -> tuple[NDArray, NDArray]:
    """Entropies alone and with the target, if any; `fault` is what must be reported, and then NaN is allowed."""
    dtype, n, count = maps.dtype.name, maps.shape[1], len(index)
    room = workspace(kernels.pairs_workspace(count, n, dtype, target is not None, STREAM[0]))
    status = Status()
    shape = (count, len(orders))
    some = (0 if target is None else count, len(orders))
    with written(*shape, dtype=dtype) as alone, written(*some, dtype=dtype) as joint:
        kernels.pairs(
            view(maps),
            None if target is None else view(target[None]),
            index.ctypes.data,
            count,
            dtype,
            list(orders),
            float(np.finfo(dtype).eps),
            unit,
            alone.ctypes.data,
            joint.ctypes.data,
            room.ctypes.data,
            room.size,
            status.address,
            *STREAM,
        )
        assert status.fault == fault
        found = alone.copy(), joint.copy()
        if fault:
            alone[np.isnan(alone)] = joint[np.isnan(joint)] = 0
    return found


def check(maps: NDArray, target: NDArray | None, index: NDArray[np.int64], orders: Sequence[float]) -> None:
    alone, joint = pairs(maps, target, index, orders)
    dtype, n = maps.dtype.name, maps.shape[1]
    wide = maps.astype(np.float64)
    for k, (i, j) in enumerate(index):
        together = [wide[i]] if i == j else [wide[i], wide[j]]
        for m, order in enumerate(orders):
            theirs = reference.joint_entropy(together, alpha=order)
            tolerances.assert_bits(alone[k, m], theirs, dtype, order, n=n)
            if target is not None:
                theirs = reference.joint_entropy(together, target.astype(np.float64), alpha=order)
                tolerances.assert_bits(joint[k, m], theirs, dtype, order, n=n)


# ---------------------------------------------------------------------------------------- against the reference


@FLOATS
@pytest.mark.parametrize("orders", ORDERS, ids=str)
@pytest.mark.parametrize("n", [1, 2, 9, 33])
def test_pairs_match_the_reference(n: int, orders: list[float], dtype: str, draw: Draw) -> None:
    maps, target = draw.rounded(dtype, 3, n), draw.rounded(dtype, n)
    check(maps, target, all_pairs(3), orders)
    check(maps, None, all_pairs(3), orders)


@FLOATS
@pytest.mark.parametrize("n", [64, 65, 100, 128, 129])
def test_larger_maps(n: int, dtype: str, draw: Draw) -> None:
    maps = draw.grams(2, n).astype(dtype)
    check(maps, draw.grams(n).astype(dtype), np.array([[0, 1]]), [1.01, 2.0])


@FLOATS
def test_beyond_a_block(dtype: str, draw: Draw) -> None:
    n = kernels.block_order(dtype)
    assert kernels.pairs_workspace(3, n, dtype, True, STREAM[0]) == 0
    x = draw.samples(3, n + 1, 2)
    maps = np.stack([reference.gram_laplacian(item, 1.0) for item in x]).astype(dtype)
    index = np.array([[0, 1], [1, 1]])
    check(maps[:2], maps[2], index[:1], [1.01, 2.0])
    maps[0] = 0
    maps[0, 0, 0] = 1
    maps[1, 0] = maps[1, :, 0] = 0
    alone, joint = pairs(maps[:2], maps[2], index, [1.01], fault=("trace", 0))
    assert np.isnan(alone[0]).all()
    assert np.isnan(joint[0]).all()
    assert not np.isnan(alone[1]).any()


def test_tiles_of_large_products(draw: Draw) -> None:
    """Products of more than 64 MB go a tile at a time."""
    n, count = 260, 260
    a = np.eye(n) / n
    a[:2, :2] = 1 / n
    maps = np.stack([a, np.eye(n) / n])
    index = np.array([[0, 0], [0, 1]] * (count // 2))
    if MEMORY != "cuda":  # there most of it is cuSOLVER's, which asks for eight times its matrices
        assert kernels.pairs_workspace(count, n, "float64", False, STREAM[0]) < count * n * n * 8
    alone, _ = pairs(maps, None, index, [1.0])
    expected = [reference.entropy(a, 1.0), math.log2(n)]
    np.testing.assert_allclose(alone[:, 0], expected * (count // 2), atol=1e-10)


def test_units_and_many_orders(draw: Draw) -> None:
    maps, target = draw.matrices(2, 6), draw.matrices(6)
    index = all_pairs(2)
    orders = list(np.linspace(0.1, 4, 300))
    alone, joint = pairs(maps, target, index, orders, unit=math.log(2))
    for m in (0, 127, 128, 299):
        found = pairs(maps, target, index, [orders[m]])
        np.testing.assert_allclose(alone[:, m], found[0][:, 0] * math.log(2), rtol=1e-13)
        np.testing.assert_allclose(joint[:, m], found[1][:, 0] * math.log(2), rtol=1e-13)


@FLOATS
def test_labels_as_the_target(dtype: str, draw: Draw) -> None:
    maps = draw.grams(3, 20).astype(dtype)
    check(maps, reference.gram_delta(np.arange(20) % 4).astype(dtype), all_pairs(3), [1.01, 2.0, 1.0])


@FLOATS
def test_degenerate_maps(dtype: str) -> None:
    n = 10
    maps = np.stack([np.full((n, n), 1 / n), np.eye(n) / n, reference.gram_delta(np.arange(n) // 2)]).astype(dtype)
    check(maps, maps[2], all_pairs(3), [1.0, 1.5])


# ------------------------------------------------------------------------------------------- size and layout


@pytest.mark.parametrize("orders", ORDERS, ids=str)
@pytest.mark.parametrize("nx", NUMPY, ids=str)
def test_layouts(nx: Nx, orders: list[float], draw: Draw) -> None:
    maps, target, index = draw.matrices(3, 8), draw.matrices(8), all_pairs(3)
    plain = pairs(nx.plain.array(maps), nx.plain.array(target), index, orders)
    found = pairs(nx.array(maps), nx.array(target[None])[0], index, orders)
    np.testing.assert_array_equal(found[0], plain[0])
    np.testing.assert_array_equal(found[1], plain[1])


@pytest.mark.parametrize("orders", ORDERS, ids=str)
def test_an_entropy_does_not_depend_on_its_neighbours(orders: list[float], draw: Draw) -> None:
    maps, target, index = draw.matrices(4, 11), draw.matrices(11), all_pairs(4)
    alone, joint = pairs(maps, target, index, orders)
    np.testing.assert_array_equal(pairs(maps, None, index, orders)[0], alone)
    for k in (0, 3, 8):
        one = pairs(maps, target, index[k : k + 1], orders)
        np.testing.assert_array_equal(one[0][0], alone[k])
        np.testing.assert_array_equal(one[1][0], joint[k])
    swapped = pairs(maps, target, np.ascontiguousarray(index[:, ::-1]), orders)
    np.testing.assert_array_equal(swapped[0], alone)


@pytest.mark.parametrize("orders", ORDERS, ids=str)
def test_no_pairs(orders: list[float], draw: Draw) -> None:
    alone, joint = pairs(draw.matrices(2, 5), draw.matrices(5), np.empty((0, 2), np.int64), orders)
    assert alone.shape == joint.shape == (0, len(orders))


# ---------------------------------------------------------------------------------------------- what is wrong


@FLOATS
def test_an_indefinite_map_is_reported_with_its_pair(dtype: str, draw: Draw) -> None:
    maps = draw.matrices(3, 6).astype(dtype)
    maps[1] = np.eye(6) / 6
    maps[1, 0, 1] = maps[1, 1, 0] = 1
    index = np.array([[0, 2], [0, 0], [1, 1], [2, 2], [1, 1]])
    alone, _ = pairs(maps, None, index, [1.01, 2.0], fault=("indefinite", 2))
    np.testing.assert_array_equal(np.isnan(alone).all(axis=1), [False, False, True, False, True])
    _, joint = pairs(maps, np.full((6, 6), 1 / 6, dtype), index, [1.01], fault=("indefinite", 2))
    np.testing.assert_array_equal(np.isnan(joint[:, 0]), [False, False, True, False, True])


@FLOATS
@pytest.mark.parametrize("orders", ORDERS, ids=str)
def test_a_product_without_a_trace_is_reported_with_its_pair(orders: list[float], dtype: str) -> None:
    maps = np.zeros((2, 4, 4), dtype)
    maps[0, :2, :2] = maps[1, 2:, 2:] = np.eye(2) / 2
    index = np.array([[0, 0], [1, 1], [0, 1], [0, 1]])
    alone, _ = pairs(maps, None, index, orders, fault=("trace", 2))
    np.testing.assert_array_equal(np.isnan(alone).all(axis=1), [False, False, True, True])
    _, joint = pairs(maps, maps[0], index, orders, fault=("trace", 1))
    np.testing.assert_array_equal(np.isnan(joint).all(axis=1), [False, True, True, True])
