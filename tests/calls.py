"""Every public function and class with arguments that are right, and what is wrong with a call when one is not."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastrenyi as fr
from fastrenyi._array import has_numbers, is_array

X = np.random.default_rng(0).normal(size=(6, 3))
MAPS = np.random.default_rng(1).normal(size=(6, 2, 3, 3))
G = fr.gram(X, bandwidth=1.0)


@dataclass(frozen=True)
class Call:
    """A function with arguments that are right; ``starred`` is the name of those it takes by place."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    starred: str = ""
    spared: dict[str, Callable[[Any], bool]] = field(default_factory=dict)
    """Of an argument, values that are not tried: functions of a user's own, whose errors are theirs."""

    @property
    def keys(self) -> list[str]:
        return list(inspect.signature(self.function).parameters)

    def tries(self, key: str, value: Any) -> bool:
        return key not in self.spared or not self.spared[key](value)

    def __call__(self, **given: Any) -> Any:
        arguments = {**self.arguments, **given}
        if not self.starred:
            return self.function(**arguments)
        several = arguments.pop(self.starred)
        if self.starred in given:  # the last is the wrong one
            several = [*self.arguments[self.starred][:-1], several]
        return self.function(*several, **arguments)


def of_package() -> dict[str, Call]:
    right: dict[str, dict[str, Any]] = {
        "gram": {"x": X}, "channel_grams": {"maps": MAPS}, "tensor_gram": {"maps": MAPS}, "normalize": {"k": 6 * G},
        "spectrum": {"a": G}, "entropy_of_spectrum": {"w": np.full(4, 0.25)}, "entropy": {"a": G},
        "joint_entropy": {"grams": [G, G]},
        "conditional_entropy": {"a": G, "given": G}, "mutual_information": {"a": G, "b": G},
        "conditional_mutual_information": {"a": G, "b": G, "given": G}, "total_correlation": {"grams": [G, G]},
        "dual_total_correlation": {"grams": [G, G]}, "o_information": {"grams": [G, G, G]},
        "interaction_information": {"grams": [G, G, G]}, "divergence": {"x": X, "y": X},
        "effective_rank": {"a": G}, "participation_ratio": {"x": X}, "stable_rank": {"x": X},
        "vendi_score": {"k": 6 * G}, "coding_rate": {"x": X}, "logdet_entropy": {"x": X}, "alignment": {"a": G, "b": G},
        "cauchy_schwarz_information": {"a": G, "b": G}, "relative_entropy": {"a": G, "b": G},
        "cauchy_schwarz_divergence": {"x": X, "y": X}, "eigenscore": {"x": X}, "curvature": {"x": X},
        "lidar": {"x": np.stack([X, X**2], 1)}, "spectral_slope": {"x": X, "first": 1, "last": 3},
        "infonce": {"a": X, "b": X}, "dime": {"a": G, "b": G}, "graph_gram": {"w": 6 * G},
        "lazy_gram": {"x": X}, "Estimation": {}, "get_include": {}, "get_library": {}, "get_cmake_dir": {},
        "layer_decomposition": {"maps": np.stack([G, G]), "target": G}, "permutation_test": {"a": G, "b": G, "n": 3},
        "rank_maps": {"maps": np.stack([G, G]), "target": G},
        "leave_one_out": {"maps": np.stack([G, G]), "target": G}, "group_o_information": {"maps": np.stack([G, G, G])},
        "Gaussian": {}, "Laplacian": {}, "Polynomial": {}, "Cosine": {}, "Linear": {}, "Delta": {}, "Silverman": {},
        "Scott": {}, "Median": {}, "NearestNeighbours": {}, "Alignment": {"target": G},
    }  # fmt: skip

    def set_num_threads(n: Any) -> None:
        fr.set_num_threads(n)
        fr.set_num_threads(None)

    def settings(validate: Any) -> None:
        with fr.settings(validate=validate):
            pass

    return {
        "set_num_threads": Call(set_num_threads, {"n": 1}),
        "settings": Call(settings, {"validate": True}),
        "get_num_threads": Call(fr.get_num_threads, {}),
        "Gaussian()": Call(fr.Gaussian(1.0), {"x": X, "y": X}),
        "Linear()": Call(fr.Linear("both", normalized=True), {"x": X, "y": X}),
        **{
            name: Call(getattr(fr, name), arguments, "grams" if "grams" in arguments else "")
            for name, arguments in right.items()
        },
    }


def of_torch() -> dict[str, Call]:
    """Of ``fastrenyi.torch``; of a Monitor's ``store`` strings are not tried, as any is a path."""
    import torch

    import fastrenyi.torch as frt
    from networks import net

    losses, model = frt.losses, net().float()
    x, y = torch.randn(6, 1, 6, 6, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    features = torch.from_numpy(X).float()
    bottleneck, distillation = losses.InformationBottleneckLoss(), losses.DistillationLoss()
    views, total = losses.MutualInformationLoss(), losses.TotalCorrelationLoss()

    def measure(step: Any = 0, loss: Any = None) -> None:
        """`loss` is what a loss function of the user's gives."""
        frt.Monitor(model, [(x, y)], null=0, loss=None if loss is None else lambda output, y: loss).measure(step)

    def captured(model: Any, layers: Any = None, gradients: Any = False, activations: Any = "after") -> Any:
        right = captured.right  # type: ignore[attr-defined]
        with frt.capture(model, layers, gradients=gradients, activations=activations) as kept:
            right(x)
        return kept

    captured.right = model  # type: ignore[attr-defined]

    def average(measure: Any) -> Any:
        """`measure` is what a measure of the user's gives."""
        found = frt.Average(lambda: measure)
        found.update()
        return found.compute()

    def is_function(value: Any) -> bool:
        return callable(value) and not isinstance(value, torch.nn.Module)

    def is_path(value: Any) -> bool:
        return isinstance(value, str)

    features_of = {"logits": features, "y": y, "x": x, "z": features}
    return {
        **{f"losses.{name}": Call(getattr(losses, name), {}) for name in losses.__all__},
        "losses.InformationBottleneckLoss()": Call(bottleneck.forward, features_of),
        "losses.DistillationLoss()": Call(distillation.forward, {"student": features, "teacher": features}),
        "losses.MutualInformationLoss()": Call(views.forward, {"a": features, "b": features}),
        "losses.TotalCorrelationLoss()": Call(total.forward, {"z": features}),
        "losses.NoisyInformationLoss()": Call(losses.NoisyInformationLoss().forward, {"z": features}),
        "losses.CorrelationLoss()": Call(losses.CorrelationLoss().forward, {"student": features, "teacher": features}),
        "losses.CauchySchwarzLoss()": Call(
            losses.CauchySchwarzLoss().forward, {"x": features[:, :2], "y": features[:, :2]}
        ),
        "losses.RelevantInformationLoss()": Call(
            losses.RelevantInformationLoss().forward, {"z": features[:, :2], "x": features[:, :2]}
        ),
        "losses.MatrixSSLLoss()": Call(losses.MatrixSSLLoss().forward, {"a": features, "b": features}),
        "Average": Call(frt.Average, {"measure": torch.sum}),
        "Average.update": Call(average, {"measure": torch.ones(())}, spared={"measure": _any_number}),
        "representations": Call(
            frt.representations,
            {"model": torch.nn.Identity(), "batches": [torch.from_numpy(X).float().reshape(2, 3, -1)]},
            spared={"layers": is_function, "output": is_function, "mask": is_function, "store": is_path},
        ),
        "capture": Call(captured, {"model": model}, spared={"layers": is_function}),
        "Monitor": Call(
            frt.Monitor,
            {"model": model, "probe": [(x, y)], "null": 0},
            spared={"layers": is_function, "store": is_path},
        ),
        "Monitor.measure": Call(measure, {}),
        "Monitor.due": Call(frt.Monitor(model, [(x, y)], null=0).due, {"step": 0}),
        "Monitor.pairs": Call(frt.Monitor(model, [(x, y)], null=0).pairs, {}),
        "pairs": Call(frt.pairs, {"run": frt.Monitor(model, [(x, y)], null=0)}, spared={"run": is_path}),
        **of_tables(),
    }


def of_tables() -> dict[str, Call]:
    """What is given a table; where a path may stand, strings are not tried."""
    import fastrenyi.torch as frt
    from tables import table

    class Writer:
        def add_scalar(self, tag: str, value: float, step: int) -> None:
            """Nothing is written."""

    frame = table(steps=(0,))
    found = {
        "inequalities": Call(frt.inequalities, {"frame": frame}),
        "scalars": Call(frt.scalars, {"frame": frame}),
        "write_scalars": Call(frt.write_scalars, {"writer": Writer(), "frame": frame}),
        "tidy": Call(frt.tidy, {"runs": frame}, spared={"runs": lambda value: isinstance(value, str)}),
        "to_xarray": Call(frt.to_xarray, {"frame": frame}),
    }
    return found | of_lightning()


def of_lightning() -> dict[str, Call]:
    try:
        from fastrenyi.torch.lightning import MonitorCallback
    except ImportError:
        return {}
    import torch

    import fastrenyi.torch as frt

    monitor = frt.Monitor(torch.nn.Linear(3, 2), [(torch.from_numpy(X).float(), torch.arange(6) % 2)])
    return {"lightning.MonitorCallback": Call(MonitorCallback, {"monitor": monitor})}


def _any_number(value: Any) -> bool:
    """A measure may be NaN."""
    return is_array(value)


def all_calls() -> dict[str, Call]:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        return of_package()
    return {**of_package(), **of_torch()}


def fault(call: Call, given: dict[str, Any]) -> str:
    """What is wrong with how a call ends; "" for a result of finite numbers and for an error that names an argument."""
    try:
        result = call(**given)
    except (TypeError, ValueError, fr.BackendUnavailableError) as error:
        message = str(error)
        named = "|".join(map(re.escape, call.keys))
        if re.search(rf"(^|: |, )({named})(?!\w).*: expected .+, got .+", message, re.DOTALL):
            return ""
        return f"{type(error).__name__}: {message}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    wrong = [place for place, numbers in _numbers(result, "result") if not np.isfinite(numbers).all()]
    return f"not finite: {', '.join(wrong)}" if wrong and not given.get("normalized") else ""


NAN_OF_NOTHING = {"z", "std", "null", "tradeoff", "nonredundant", "tradeoff_share", "nonredundant_share",
                  "tradeoff_standard_error", "nonredundant_standard_error",
                  "standard_error", "vulnerability"}  # fmt: skip


def _numbers(result: Any, place: str) -> Iterator[tuple[str, Any]]:
    """The arrays in a result, by place, but for those that have NaN where there is nothing to measure."""
    if is_array(result) or isinstance(result, np.generic):
        if has_numbers(result) and not str(result.dtype).startswith(("U", "<U", "complex", "O")):
            yield place, np.asarray(result.detach().double() if hasattr(result, "detach") else result)
        return
    names: Any = getattr(result, "_fields", None)
    if isinstance(result, (fr.LayerDecomposition, fr.MapRanking, fr.LeaveOneOut, fr.GroupOInformation)):
        names = [part.name for part in dataclasses.fields(result)]
    for name in names or ():
        if name not in NAN_OF_NOTHING:
            yield from _numbers(getattr(result, name), f"{place}.{name}")
