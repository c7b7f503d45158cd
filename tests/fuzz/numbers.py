"""Random calls of the public functions, their results held against long double."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import fastrenyi as fr
import reference
from fuzz import cases, exact
from fuzz.exact import Interval
from fuzz.layouts import laid_out, told

Terms = list[tuple[float, tuple[int, ...]]]


class Wrong(AssertionError):
    """A result that is wrong, with the call that gave it."""

    def __init__(self, call: str, what: str, arguments: dict[str, Any]) -> None:
        super().__init__(f"{call}: {what}")
        self.record = {"call": call, "what": what, "arguments": arguments}


def check(rng: np.random.Generator) -> None:
    """One random call; `Wrong` if its result is."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        library = "numpy"
    else:
        library = str(rng.choice(["numpy", "torch"]))
    dtypes = ["float64", "float32", "float16"] + ["bfloat16"] * (library == "torch")
    dtype = str(rng.choice(dtypes, p=[0.5, 0.3, *[0.2 / (len(dtypes) - 2)] * (len(dtypes) - 2)]))
    [_grams, _measure, _layer, _divergence, _null][rng.choice(5, p=[0.3, 0.45, 0.1, 0.1, 0.05])](rng, library, dtype)


# ------------------------------------------------------------------------------------------------ Grams


def _grams(rng: np.random.Generator, library: str, dtype: str) -> None:
    """gram, channel_grams or tensor_gram of samples of any scale, entry by entry."""
    n, d, axes = cases.number_of_samples(rng), int(rng.choice([1, 2, 3, 8, 17, 40])), cases.batch(rng)
    name = str(rng.choice(["gram", "channel_grams", "tensor_gram"]))
    if name != "gram":
        axes = () if name == "tensor_gram" else (int(rng.integers(0, 4)),)
    x = given = cases.samples(rng, (*axes, n, d), dtype)
    typical = float(np.median(np.abs(x - x[..., :1, :]))) if x.size else 1.0
    kernel = cases.kernel(rng, n, typical if 1e-300 < typical < 1e300 else 1.0)
    if name == "channel_grams":
        given = x.swapaxes(0, 1)
    elif name == "tensor_gram" and d % 2 == 0:
        given = x.reshape(n, 2, d // 2)
    array = laid_out(given, dtype, library, rng)
    call = f"fr.{name}(x, {kernel.of_package()!r}, {kernel.rule!r})"
    arguments = {"x": told(array), "values": _shown(given)}
    if not _has_gram(x, kernel):
        return
    found = _called(call, arguments, lambda: getattr(fr, name)(array, kernel.of_package(), kernel.rule))
    expected = reference.over_batch(kernel.gram, x) if x.size else np.empty((*x.shape[:-1], n))
    values = _values(call, arguments, found, library, dtype, expected.shape)
    unit, rounding = cases.UNIT[cases.computed_in(dtype)], cases.UNIT[dtype]
    allowed = 2 * kernel.steepness() * (d + 8) * unit + (rounding if rounding > unit else 0)
    error = np.abs(values - expected) * n
    wrong = ~(error <= allowed + n * cases.SMALLEST[dtype])
    if kernel.name == "delta":
        wrong = values != cases.rounded(expected, dtype)
    if wrong.any():
        at = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
        raise Wrong(
            call, f"{values[at]!r} at {at}, where {expected[at]!r} to {allowed:.3g} / n was expected", arguments
        )
    if not (values == np.swapaxes(values, -1, -2)).all():
        raise Wrong(call, "not symmetric", arguments)


def _has_gram(x: Any, kernel: cases.Kernel) -> bool:
    """Whether there is a Gram: a sample of zeros has no direction."""
    return kernel.name != "cosine" or bool((x != 0).any(axis=-1).all())


# --------------------------------------------------------------------------------------------- measures


def _all_but_one(count: int) -> Terms:
    everything = tuple(range(count))
    return [(1, everything[:i] + everything[i + 1 :]) for i in everything]


def _singles(count: int) -> Terms:
    return [(1, (i,)) for i in range(count)]


def _negative(terms: Terms) -> Terms:
    return [(-sign, subset) for sign, subset in terms]


MEASURES: dict[str, tuple[tuple[int, ...], Callable[[int], Terms]]] = {
    "entropy": ((1,), lambda _: [(1, (0,))]),
    "joint_entropy": ((1, 2, 3), lambda count: [(1, tuple(range(count)))]),
    "conditional_entropy": ((2,), lambda _: [(1, (0, 1)), (-1, (1,))]),
    "mutual_information": ((2,), lambda _: [(1, (0,)), (1, (1,)), (-1, (0, 1))]),
    "conditional_mutual_information": ((3,), lambda _: [(1, (0, 2)), (1, (1, 2)), (-1, (0, 1, 2)), (-1, (2,))]),
    "total_correlation": ((2, 3), lambda count: [*_singles(count), (-1, tuple(range(count)))]),
    "dual_total_correlation": ((2, 3), lambda count: [*_all_but_one(count), (1 - count, tuple(range(count)))]),
    "o_information": (
        (2, 3, 4),
        lambda count: [*_singles(count), *_negative(_all_but_one(count)), (count - 2, tuple(range(count)))],
    ),
    "interaction_information": (
        (2, 3),
        lambda count: [
            ((-1) ** (size + 1), subset)
            for size in range(1, count + 1)
            for subset in itertools.combinations(range(count), size)
        ],
    ),
}


class _Entropies:
    """Joint entropies of subsets of variables, each a list of Grams (b, n, n): intervals, computed once."""

    def __init__(self, variables: list[list[Any]], orders: list[float], dtype: str) -> None:
        self.variables, self.orders = variables, orders
        self.epsilon, self.rounding = cases.UNIT[cases.computed_in(dtype)], cases.UNIT[dtype]
        self.known: dict[tuple[int, ...], Interval] = {}

    def of(self, subset: tuple[int, ...]) -> Interval:
        if subset not in self.known:
            grams = [gram for i in subset for gram in self.variables[i]]
            matrix = exact.joint(grams)
            self.known[subset] = exact.entropy(matrix, self.orders, len(grams), self.epsilon, self.rounding)
        return self.known[subset]

    def sum(self, terms: Terms) -> Interval:
        parts = [self.of(subset).times(sign) for sign, subset in terms]
        return sum(parts[1:], parts[0])

    def result(self, terms: Terms, base: float) -> Interval:
        """A sum of entropies as it is given back: in another base, and rounded."""
        return self.rounded(self.sum(terms).times(1 / math.log2(base)))

    def rounded(self, exactly: Interval) -> Interval:
        size = np.maximum(np.abs(exactly.low), np.abs(exactly.high))
        return exactly.wider(self.rounding * np.where(np.isfinite(size), size, 0) + cases.SMALLEST["float16"])


def _matrices(rng: np.random.Generator, axes: tuple[int, ...], n: int, dtype: str) -> Any:
    """Grams (*axes, n, n) of a dtype: of samples by the package, or positive definite with any diagonal."""
    if rng.random() < 0.7:
        x = cases.samples(rng, (*axes, n, int(rng.integers(1, 4))), "float64" if dtype == "float64" else "float32")
        names = ["gaussian", "laplacian", "delta"]
        rule = str(rng.choice(["median", "scott"]))
        name = str(rng.choice(names))
        made = fr.gram(x.astype(cases.computed_in(dtype)), name, None if name == "delta" else rule)
    else:
        factor = rng.normal(size=(*axes, n, int(rng.integers(1, n + 1)))) * rng.uniform(0.1, 2, (*axes, n, 1))
        product = factor @ np.swapaxes(factor, -1, -2)
        made = (product + np.swapaxes(product, -1, -2)) / 2
        made = made / np.trace(made, axis1=-2, axis2=-1)[..., None, None]
    return cases.rounded(made, dtype)


def _measure(rng: np.random.Generator, library: str, dtype: str) -> None:
    name = str(rng.choice(list(MEASURES)))
    counts, terms_of = MEASURES[name]
    count, n, axes = int(rng.choice(counts)), cases.number_of_samples(rng), cases.batch(rng)
    if count > 2:
        n = min(n, 20)
    values = [
        [_matrices(rng, axes if rng.random() < 0.8 else (), n, dtype) for _ in range(rng.choice([1, 1, 1, 2]))]
        if name != "entropy"
        else [_matrices(rng, axes, n, dtype)]
        for _ in range(count)
    ]
    axes = np.broadcast_shapes(*(v.shape[:-2] for listed in values for v in listed))
    orders, base = cases.orders(rng), float(rng.choice([2, math.e, 10, 1.1]))
    arrays: list[Any] = [[laid_out(v, dtype, library, rng) for v in listed] for listed in values]
    variables = [listed[0] if len(listed) == 1 else listed for listed in arrays]
    alpha: Any = orders[0] if len(orders) == 1 else orders
    options: dict[str, Any] = {"alpha": alpha, "base": base}
    normalized = name in ("total_correlation", "dual_total_correlation") and rng.random() < 0.3
    if normalized:
        options["normalized"] = True
    call = f"fr.{name}(*variables, {', '.join(f'{k}={v!r}' for k, v in options.items())})"
    arguments = {"variables": [[told(a) for a in listed] for listed in arrays],
                 "values": [[_shown(v) for v in listed] for listed in values]}  # fmt: skip
    flat = [[np.broadcast_to(v, (*axes, n, n)).reshape(-1, n, n) for v in listed] for listed in values]
    entropies = _Entropies(flat, orders, dtype)
    terms = terms_of(count)
    shape = axes if len(orders) == 1 else (*axes, len(orders))
    found = _called(call, arguments, lambda: getattr(fr, name)(*variables, **options), flat, cases.UNIT[dtype])
    if found is None:
        return
    result = _values(call, arguments, found, library, dtype, shape).reshape(-1, len(orders))
    if not result.size:
        return
    if not normalized:
        _within(call, arguments, result, entropies.result(terms, base))
        return
    everything = tuple(range(count))
    whole = entropies.of(everything)
    if name == "total_correlation":
        singles = [entropies.of((i,)) for i in everything]
        total = sum(singles[1:], singles[0])
        most = Interval(np.maximum.reduce([s.low for s in singles]), np.maximum.reduce([s.high for s in singles]))
        whole = total + most.times(-1)
    share = entropies.rounded(entropies.sum(terms).over(whole))
    # Nothing is no more than a hundredth of the largest entropy for each that is summed.
    nothing = np.isnan(result) & (whole.low <= 0.01 * math.log2(n) * count)
    _within(call, arguments, np.where(nothing, np.where(np.isfinite(share.low), share.low, 0), result), share)


def _layer(rng: np.random.Generator, library: str, dtype: str) -> None:
    """layer_decomposition, each of its fields."""
    n, count = min(cases.number_of_samples(rng), 20), int(rng.integers(1, 6))
    maps, target = _matrices(rng, (count,), n, dtype), _matrices(rng, (), n, dtype)
    orders, base = cases.orders(rng), float(rng.choice([2, math.e]))
    arrays = [laid_out(maps, dtype, library, rng), laid_out(target, dtype, library, rng)]
    alpha: Any = orders[0] if len(orders) == 1 else orders
    most = None if rng.random() < 0.5 else int(rng.integers(1, 12))
    call = f"fr.layer_decomposition(maps, target, alpha={alpha!r}, base={base!r}, max_pairs={most})"
    arguments = {"maps": told(arrays[0]), "target": told(arrays[1]), "values": [_shown(maps), _shown(target)]}
    flat = [[v[None]] for v in (*maps, target)]
    found = _called(
        call,
        arguments,
        lambda: fr.layer_decomposition(*arrays, alpha, base=base, max_pairs=most),
        flat,
        cases.UNIT[dtype],
    )
    if found is None:
        return
    entropies = _Entropies(flat, orders, dtype)
    of, everything = (count,), tuple(range(count))

    def information(*subset: int) -> Terms:
        return [(1, of), (1, subset), (-1, (*subset, count))]

    tail = () if len(orders) == 1 else (len(orders),)
    pairwise = _values(f"{call}.pairwise", arguments, found.pairwise, library, dtype, (count, count, *tail))
    pairwise = pairwise.reshape(count, count, -1)
    pairs = [pair for pair in itertools.combinations(range(count), 2) if not np.isnan(pairwise[pair]).all()]
    assert len(pairs) == found.pairs == min(count * (count - 1) // 2, most or 100)
    fields: dict[str, Terms] = {"mmi": information(*everything), "entropy": [(1, everything)]}
    if pairs:
        tradeoff, rest = [], []
        for i, j in pairs:
            single, pair = information(i) + information(j), information(i, j)
            tradeoff += [(sign / len(pairs), s) for sign, s in single + _negative(pair)]
            rest += [(sign / len(pairs), s) for sign, s in pair + pair + _negative(single)]
        fields |= {"tradeoff": tradeoff, "nonredundant": rest}
    for field, terms in fields.items():
        result = _values(f"{call}.{field}", arguments, getattr(found, field), library, dtype, tail)
        _within(f"{call}.{field}", arguments, result.reshape(1, -1), entropies.result(terms, base))
    single = _values(f"{call}.single", arguments, found.single, library, dtype, (count, *tail)).reshape(count, -1)
    for i in everything:
        _within(f"{call}.single[{i}]", arguments, single[i][None], entropies.result(information(i), base))
    for i, j in pairs:
        expected = entropies.result(information(i, j), base)
        for at in ((i, j), (j, i)):
            _within(f"{call}.pairwise[{at}]", arguments, pairwise[at][None], expected)


def _divergence(rng: np.random.Generator, library: str, dtype: str) -> None:
    """divergence of two samples: entropies of Grams that are not seen, whose rounding is added to theirs."""
    n, m, d = int(rng.integers(1, 12)), int(rng.integers(1, 12)), int(rng.integers(1, 5))
    both = cases.samples(rng, (n + m, d), dtype)
    kernel = cases.kernel(rng, 0, float(np.median(np.abs(both))) or 1.0)
    if not _has_gram(both, kernel):
        return
    orders, base = cases.orders(rng), float(rng.choice([2, math.e]))
    x, y = (laid_out(part, dtype, library, rng) for part in (both[:n], both[n:]))
    alpha: Any = orders[0] if len(orders) == 1 else orders
    package = kernel.of_package()
    call = f"fr.divergence(x, y, {package!r}, {kernel.rule!r}, alpha={alpha!r}, base={base!r})"
    arguments = {"x": told(x), "y": told(y), "values": [_shown(both[:n]), _shown(both[n:])]}
    found = _called(call, arguments, lambda: fr.divergence(x, y, package, kernel.rule, alpha=alpha, base=base))
    pooled = kernel.gram(both) * (n + m)
    unit = cases.UNIT[cases.computed_in(dtype)]
    of_grams = kernel.steepness() * (d + 8) * unit
    parts = [
        exact.entropy(exact.joint([gram[None]]), orders, 1, unit + of_grams, unit)
        for gram in (pooled, pooled[:n, :n], pooled[n:, n:])
    ]
    total = parts[0] + parts[1].times(-n / (n + m)) + parts[2].times(-m / (n + m))
    result = _values(call, arguments, found, library, dtype, () if len(orders) == 1 else (len(orders),))
    rounded = _Entropies([], orders, dtype).rounded(total.times(1 / math.log2(base)))
    _within(call, arguments, result.reshape(1, -1), rounded)


def _null(rng: np.random.Generator, library: str, dtype: str) -> None:
    """permutation_test: its value, and what its other fields say of its null, which keeps within the entropies."""
    n, count, seed = int(rng.integers(2, 12)), int(rng.integers(1, 6)), int(rng.integers(2**31))
    values = [_matrices(rng, (), n, dtype) for _ in range(2)]
    arrays = [laid_out(v, dtype, library, rng) for v in values]
    order = cases.orders(rng)[:1]
    call = f"fr.permutation_test(a, b, {count}, {seed}, alpha={order[0]!r})"
    arguments = {"a": told(arrays[0]), "b": told(arrays[1]), "values": [_shown(v) for v in values]}
    flat = [[v[None]] for v in values]
    found = _called(
        call, arguments, lambda: fr.permutation_test(*arrays, count, seed, alpha=order[0]), flat, cases.UNIT[dtype]
    )
    if found is None:
        return
    entropies = _Entropies(flat, order, dtype)
    expected = entropies.result(MEASURES["mutual_information"][1](2), 2)
    value = _values(call, arguments, found.value, library, dtype, ())
    _within(call, arguments, value.reshape(1, 1), expected)
    null = _values(call, arguments, found.null, library, dtype, (count,))
    singles = entropies.of((0,)) + entropies.of((1,))
    # A joint entropy is at least either one and at most log2 n, where rounding does not weigh more.
    most = Interval(singles.low - math.log2(n), singles.high).wider(1e-6 + 4 * cases.UNIT[dtype] * math.log2(n))
    _within(f"{call}.null", arguments, null[:, None], Interval(most.low[0], most.high[0]))
    for field, expect in {"mean": null.mean(), "excess": value - null.mean()}.items():
        of_field = _values(f"{call}.{field}", arguments, getattr(found, field), library, dtype, ())
        if not abs(of_field - expect) <= 1e-6 + 8 * cases.UNIT[dtype] * math.log2(n):
            raise Wrong(f"{call}.{field}", f"{of_field!r}, where {expect!r} was expected", arguments)


# ------------------------------------------------------------------------------------------ what came back


def _called(call: str, arguments: Any, function: Callable[[], Any], grams: Any = (), rounding: float = 0.0) -> Any:
    """The result; None where a Gram was refused for eigenvalues that are below what its dtype's rounding explains."""
    try:
        return function()
    except fr.NotPositiveSemidefiniteError as error:
        matrices = [gram for variable in grams for gram in variable]
        for matrix in matrices:
            found = exact.eigenvalues(matrix)
            if (found.min(axis=1) < -0.5 * matrix.shape[-1] * rounding * found.max(axis=1)).any():
                return None
        raise Wrong(call, f"{type(error).__name__}: {error}", arguments) from error
    except Exception as error:
        raise Wrong(call, f"{type(error).__name__}: {error}", arguments) from error


def _values(call: str, arguments: Any, found: Any, library: str, dtype: str, shape: tuple[int, ...]) -> Any:
    """A result in float64, which has to be of this library, dtype and shape."""
    kind = str(found.dtype).removeprefix("torch.")
    home = "torch" if type(found).__module__.startswith("torch") else "numpy"
    if (home, kind, tuple(found.shape)) != (library, dtype, tuple(shape)):
        raise Wrong(call, f"{home} {kind} {tuple(found.shape)}, not {library} {dtype} {tuple(shape)}", arguments)
    return np.asarray(found.double().numpy() if home == "torch" else found, dtype=np.float64)


def _within(call: str, arguments: Any, result: Any, expected: Interval) -> None:
    wrong = ~expected.holds(result)
    if wrong.any():
        at = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
        low, high = (float(np.broadcast_to(end, wrong.shape)[at]) for end in (expected.low, expected.high))
        raise Wrong(call, f"{float(result[at])!r} at {at}, outside [{low!r}, {high!r}]", arguments)


def _shown(values: Any) -> Any:
    """Few numbers as they are, of many only that there are."""
    return np.asarray(values).tolist() if np.size(values) <= 100 else f"{np.size(values)} numbers"
