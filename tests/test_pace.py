"""When a Monitor measures, by a clock that the tests move: no time is tested."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")

import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.torch import pace  # noqa: E402
from fastrenyi.torch.pace import Pace  # noqa: E402


class Clock:
    """Time that passes where the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(pace, "time", found)
    return found


def spend(of: Pace, clock: Clock, seconds: float) -> None:
    with of.spending():
        clock.now += seconds


def test_a_number_of_steps(clock: Clock) -> None:
    fixed = Pace(3, 0.05)
    spend(fixed, clock, 1e6)
    assert [step for step in range(10) if fixed.due(step)] == [0, 3, 6, 9]


def test_a_measurement_is_paid_for_by_what_follows(clock: Clock) -> None:
    auto = Pace("auto", 0.05)
    assert auto.due(0)
    assert auto.due(0)  # asking changes nothing
    spend(auto, clock, 2)
    clock.now += 37
    assert not auto.due(1)
    clock.now += 1
    assert auto.due(2)
    spend(auto, clock, 1)  # cheaper than the one before
    clock.now += 18
    assert not auto.due(3)
    clock.now += 1
    assert auto.due(4)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3, 0.9])
def test_the_share_is_kept(clock: Clock, share: float) -> None:
    """Of measurements whose cost changes, and of steps too: up to the last measurement no more than the share."""
    auto, spent, begun = Pace("auto", share), 0.0, clock.now
    counted = 0
    for step in range(20_000):
        if auto.due(step):
            assert spent <= share * (clock.now - begun) * (1 + 1e-9)
            cost = (1, 5, 0.1)[counted % 3]
            spend(auto, clock, cost)
            spent, counted = spent + cost, counted + 1
        clock.now += 0.1 if step < 10_000 else 0.05
    assert counted > 2
    # Given away is what a step overshoots after each measurement, and what the last of them was not waited for.
    assert spent >= share * (clock.now - begun - 0.1 * counted) - 5


def test_what_fails_is_paid_for_too(clock: Clock) -> None:
    auto = Pace("auto", 0.5)

    def failing() -> None:
        with auto.spending():
            clock.now += 3
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        failing()
    assert not auto.due(0)
    clock.now += 3
    assert auto.due(0)


def test_on_another_machine_its_clock_counts(clock: Clock) -> None:
    auto = Pace("auto", 0.05)
    spend(auto, clock, 100)
    other = pickle.loads(pickle.dumps(auto))
    assert not other.due(0)
    clock.now = 5
    assert other.due(0)


def monitor(**options: Any) -> frt.Monitor:
    torch.manual_seed(0)
    return frt.Monitor(torch.nn.Linear(3, 2), [(torch.randn(8, 3), torch.arange(8) % 2)], **options)


def test_a_monitor_counts_its_measurements(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    auto = monitor(share=0.1)
    auto._model.register_forward_hook(lambda *_: setattr(clock, "now", clock.now + 0.5))
    measured = []
    for step in range(200):
        if auto.due(step):
            before = clock.now
            auto.measure(step)
            measured.append((step, clock.now - before))
        clock.now += 1
    assert [step for step, _ in measured] == auto.steps
    (first, cost), (second, _), *_ = measured
    assert first == 0
    assert 9 * cost <= second < 9 * cost + 1
    assert copy.deepcopy(auto).due(200) == auto.due(200)


def test_a_step_that_is_skipped_costs_nothing(clock: Clock) -> None:
    auto = monitor(existing="skip")
    auto._model.register_forward_hook(lambda *_: setattr(clock, "now", clock.now + 0.5))
    auto.measure(0)
    assert not auto.due(1)
    clock.now += 1000
    auto.measure(0)
    assert auto.due(1)


def test_a_monitor_by_steps() -> None:
    by_steps = monitor(every=50)
    assert [step for step in range(101) if by_steps.due(step)] == [0, 50, 100]
    assert "every" not in by_steps.settings  # of a continued store it may be another


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"every": 0}, ValueError, r"^every: expected an integer of at least 1"),
        ({"every": "often"}, ValueError, r"^every: expected a number of steps, or 'auto', got 'often'"),
        ({"every": 2.0}, TypeError, r"^every: expected an integer, got float"),
        ({"every": None}, TypeError, r"^every: expected an integer, got NoneType"),
        ({"share": 0}, ValueError, r"^share: expected a finite number above zero, got 0"),
        ({"share": 1}, ValueError, r"^share: expected a share of the time, above 0 and below 1, got 1"),
        ({"share": "5%"}, TypeError, r"^share: expected a number, got '5%'"),
        ({"config": [1]}, TypeError, r"^config: expected a mapping"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        monitor(**options)


@pytest.mark.parametrize("step", [-1, 1.5, "0", None])
def test_a_wrong_step_is_named(step: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^step: expected an integer"):
        monitor().due(step)
