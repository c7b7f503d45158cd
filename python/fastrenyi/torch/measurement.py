"""One measurement: the minibatches, each once through the network for methods that share a pass, to the rows of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from fastrenyi import _check
from fastrenyi.torch.methods import Method, passes_of
from fastrenyi.torch.network.batches import Batch, follow, place_of, variable
from fastrenyi.torch.network.probe import Links, run
from fastrenyi.torch.network.reading import Reading
from fastrenyi.torch.network.select import whole
from fastrenyi.torch.notices import Notices
from fastrenyi.torch.progress import Progress
from fastrenyi.torch.rows import of_batch, size_of
from fastrenyi.torch.settings import Settings
from fastrenyi.torch.variables import Variables

__all__ = ["Measurement"]


class Measurement:
    """What is measured of a model, and how: the same at each step."""

    def __init__(
        self,
        model: nn.Module,
        reading: Reading,
        batches: list[Batch],
        names: Sequence[str],
        methods: Sequence[Method],
        settings: Settings,
    ) -> None:
        """Of layers by their names; makes the Grams of the minibatches' inputs and targets."""
        self.methods = methods
        self._model, self._reading, self._batches, self._names = model, reading, batches, names
        self._settings = settings
        self._place = place_of(model)
        self._notices = Notices()
        self._variables: dict[str, list[Variables]] = {method.name: [] for method in methods}  # by minibatch
        for index, batch in enumerate(batches):
            where = f"probe[{index}]"
            x = variable(model, batch, reading.input, reading.batch_dim, where)
            for method in methods:
                known = Variables.of(method, x, batch[1], where)
                self._variables[method.name].append(known)
                self._notices.of_minibatch(method, known)

    @property
    def sizes(self) -> list[int]:
        """Samples of each minibatch."""
        return [len(known.x) for known in self._variables[self.methods[0].name]]

    def rows(
        self, step: int, earlier: Mapping[tuple[str, int], dict[str, float]], progress: Progress
    ) -> Iterator[dict[str, Any]]:
        """Measure, with the widths that layers had at earlier steps, by method and minibatch, where they count."""
        links: dict[Any, Links] = {}  # of each pass, found on the first minibatch of each step
        whole(self._model)
        place = place_of(self._model)
        for batch, n in enumerate(self.sizes):
            where = f"step {step}, probe[{batch}]"
            for side, methods in passes_of(self.methods).items():
                progress.at(batch)
                with _check.telling(where):
                    passed = run(
                        self._model,
                        self._reading,
                        follow(self._batches[batch], self._place, place),
                        n,
                        self._settings.loss if side.errors else None,
                        side.activations,
                        side.errors or "before",
                        links.get(side),
                        self._settings.links,
                    )
                links[side] = passed.links
                self._notices.of_reading(self._names, passed, n)
                progress.expect(size_of(method, x) for method in self.methods for x in passed.acts.values())
                for method in methods:
                    known = self._variables[method.name][batch]
                    widths = earlier.get((method.name, batch), {}) if method.smooth else {}
                    for row in of_batch(self._settings, method, passed, known, widths, method.about(where), progress):
                        what = method.about(f"layer {row['layer']!r}")
                        self._notices.of_variable(what, method.kernel, row["entropy"], n)
                        yield {"step": step, "batch": batch, "samples": n, **known.entropies[row["alpha"]], **row}
