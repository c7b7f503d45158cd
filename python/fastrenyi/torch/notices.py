"""What a Monitor warns of, once: kernels to which all samples are apart or the same, and targets that never repeat."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from fastrenyi._cost import outside
from fastrenyi.kernels import Delta, Kernel
from fastrenyi.torch.methods import Method
from fastrenyi.torch.network.probe import Pass
from fastrenyi.torch.variables import Variables

__all__ = ["Notices", "saturated"]

_SATURATED, _COLLAPSED = 0.98, 0.02  # of log2 n


def saturated(entropy: float, n: int) -> bool:
    """Whether the entropy of n samples is nearly the largest that it can be."""
    return entropy > _SATURATED * math.log2(n)


class Notices:
    """Warnings, each given once."""

    def __init__(self) -> None:
        """Nothing has been said yet."""
        self._said: set[str] = set()

    def of_minibatch(self, method: Method, known: Variables) -> None:
        """Say what input and targets are to the kernels of a method."""
        n = len(known.x)
        for entropies in known.entropies.values():
            if not isinstance(known.kernel, Delta):  # to which inputs are apart, rightly
                what = method.about("the input")
                self.of_variable(what, known.kernel, entropies["input_entropy"], n)
            what = method.about("label_kernel")
            self.of_labels(what, method.target_kernel, entropies["target_entropy"], n)

    def of_variable(self, what: str, kernel: Kernel, entropy: float, n: int) -> None:
        """Say that a kernel tells nothing of a variable, and what helps."""
        if isinstance(kernel, Delta):
            if saturated(entropy, n):
                self._say(
                    what,
                    f"{what}: the entropy is {entropy:.3g} bits of log2 n = {math.log2(n):.3g}: nearly all samples are "
                    "symbols of their own, so that an information is its largest whatever the data. Fewer bins, or "
                    "larger minibatches, may tell more",
                )
            return
        if saturated(entropy, n):
            found, helps = "apart, so that an information is near its largest whatever the data", "wider"
        elif entropy < _COLLAPSED * math.log2(n):
            found, helps = "the same, if it is not constant itself", "narrower"
        else:
            return
        self._say(
            what,
            f"{what}: the entropy is {entropy:.3g} bits of log2 n = {math.log2(n):.3g}: to its kernel nearly all "
            f"samples are {found}. A {helps} one may tell more: bandwidth='median' or fastrenyi.NearestNeighbours(), "
            "which follow the data's scale, and kernel_on='tensor'",
        )

    def of_labels(self, what: str, kernel: Kernel, entropy: float, n: int) -> None:
        """Say that targets are nearly all different, so that there is nothing to know of them."""
        if entropy < _COLLAPSED * math.log2(n):
            self._say(
                what,
                f"{what}: the targets are nearly all the same to {kernel!r} (entropy {entropy:.3g} bits): "
                "there is "
                "nothing to know of them; take minibatches of several classes",
            )
        if saturated(entropy, n):
            self._say(
                what,
                f"{what}: the targets are nearly all different to {kernel!r} (entropy {entropy:.3g} bits of "
                f"log2 n = {math.log2(n):.3g}), so that I(T;Y) is S(T) whatever the layer knows; for values and codes "
                "pass label_kernel='gaussian', for classes larger minibatches",
            )

    def of_reading(self, layers: Sequence[str], passed: Pass, n: int) -> None:
        """Say which layers have no rows, and of which it stays in doubt where their samples are."""
        left_out, doubtful = passed.left_out, passed.doubtful
        called = {name.rpartition("#")[0] or name for name in [*passed.acts, *left_out]}
        uncalled = [name for name in layers if name not in called]
        if uncalled:
            listed = ", ".join(map(repr, uncalled))
            self._say("uncalled", f"layers: never called in a forward pass, so without rows: {listed}")
        if left_out:
            listed = ", ".join(f"{name!r} {shape}" for name, shape in left_out.items())
            self._say("left out", f"layers: left out, as their outputs are not of {n} samples: {listed}")
        if doubtful:
            self._say(
                "doubtful",
                f"batch_dim: no axis of {', '.join(map(repr, doubtful))} is exchanged where the samples of the input "
                "are, so that the first that is as long was taken for theirs; is the input's the right one? (pass "
                "batch_dim=1 for a model that takes time first)",
            )

    def _say(self, what: str, message: str) -> None:
        if what not in self._said:
            self._said.add(what)
            warnings.warn(message, stacklevel=outside())
