"""How far a measurement has come, as a bar of tqdm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["Progress", "bar_of_tqdm"]

_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"


class Progress:
    """Step, minibatch, layer with its pairs of maps, and the time left of one measurement; nothing unless shown."""

    def __init__(self, shown: bool, step: int, batches: int) -> None:
        """Show an empty bar."""
        self._step, self._batches = step, batches
        self._where = ""
        self._bar: Any = bar_of_tqdm()(leave=False, bar_format=_FORMAT, mininterval=0) if shown else None

    def __enter__(self) -> Progress:
        """Nothing is done: the bar is there."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def at(self, batch: int) -> None:
        """Say that the model runs on a minibatch."""
        self._where = f"step {self._step}, probe[{batch}]"
        self._say("forward and backward pass")

    def expect(self, sizes: Iterable[tuple[int, int]]) -> None:
        """Say what there is to be done on a minibatch, in numbers of maps and of pairs; others are taken to be like it.

        A map alone costs what a pair does.
        """
        if self._bar is not None:
            self._bar.total = self._batches * sum(map(sum, sizes))

    def over(self, layers: Mapping[str, tuple[int, int]]) -> Iterator[str]:
        """Return the names of layers, one after the other as they are measured, of numbers of maps and of pairs."""
        if self._bar is None:
            yield from layers
            return
        self._bar.unpause()  # what the model takes says nothing of the time left
        for name, (maps, pairs) in layers.items():
            self._say(f"{name}, {pairs:,} pairs" if pairs else name)
            yield name
            self._bar.update(maps + pairs)
        self._say("errors")

    def _say(self, what: str) -> None:
        if self._bar is not None:
            self._bar.set_description_str(f"{self._where}, {what}:")


def bar_of_tqdm() -> Any:
    """Return tqdm's bar, for the terminal or the notebook that this is; ImportError where there is no tqdm."""
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError(f"progress=True needs tqdm: pip install tqdm ({error})", name="tqdm") from error
    return tqdm
