"""``python -m fuzz``: calls at random for a given time, with fresh seeds; what fails goes to a file, a line each.

A third of the time goes to each of: numbers, against long double; arguments; and ``test_properties``, by hypothesis.
Exit status 1 if anything failed. With --case, one line's call again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastrenyi as fr
from fuzz import numbers, sweep

CHECKS: dict[str, Callable[[np.random.Generator], None]] = {"numbers": numbers.check, "arguments": sweep.check}
TESTS = Path(__file__).parents[1]


def failure(part: str, seed: int, place: int) -> dict[str, Any] | None:
    """What is wrong with one call, for a person and for --case; None if nothing."""
    try:
        CHECKS[part](np.random.default_rng([seed, place]))
    except (numbers.Wrong, sweep.Wrong) as wrong:
        record = wrong.record
    except Exception as error:  # of the fuzzer's own
        record = {"call": "", "what": f"{type(error).__name__}: {error}", "arguments": {}}
    else:
        return None
    case = f"{part}:{seed}:{place}"
    again = f"PYTHONPATH=tests python -W error -m fuzz --case {case}"
    return {"case": case, "again": again, "version": fr.__version__, **record}


def keep(record: dict[str, Any], file: Path) -> None:
    """Append a failure to the file and say it."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(record, default=str) + "\n")
    print(f"{record['case']}: {record['call']}: {record['what']}"[:1000], flush=True)


def calls_at_random(part: str, seed: int, seconds: float, file: Path) -> tuple[int, int]:
    """Calls for so long; how many there were, and how many of them failed."""
    end, place, failed = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        if record := failure(part, seed, place):
            failed += 1
            keep(record, file)
        place += 1
    return place, failed


def properties(seed: int, seconds: float, file: Path) -> tuple[int, int]:
    """Rounds of ``test_properties`` with more examples; one that the time ends is not counted."""
    end, rounds, failed = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        order = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_properties.py", "--hypothesis-profile=fuzz"]
        run = subprocess.Popen(
            [sys.executable, *order, f"--hypothesis-seed={seed + rounds}"], cwd=TESTS, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            output, _ = run.communicate(timeout=max(end - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
            break
        if run.returncode:
            failed += 1
            again = f"cd tests; python {' '.join(order)} --hypothesis-seed={seed + rounds}"
            keep({"case": f"properties:{seed + rounds}", "again": again, "call": "", "what": output[-4000:]}, file)
        rounds += 1
    return rounds, failed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    parser.add_argument("--case", help="numbers:SEED:PLACE or arguments:SEED:PLACE")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures.jsonl"))
    parser.add_argument("--kernels", choices=["core", "emulated"], default="core", help="as of pytest")
    parser.add_argument("--only", choices=[*CHECKS, "properties"], help="one part instead of all three")
    given = parser.parse_args(arguments)
    warnings.simplefilter("error")
    if given.kernels == "emulated":
        from fastrenyi import _backend

        _backend.MODULES["cpu"] = "_emulated"
    if given.case:
        part, seed, place = given.case.split(":")
        record = failure(part, int(seed), int(place))
        print(json.dumps(record, default=str, indent=1) if record else "as it should be")
        return int(record is not None)
    print(f"--seed {given.seed}, fastrenyi {fr.__version__} of {Path(fr.__file__).parent}", flush=True)
    parts = [given.only] if given.only else [*CHECKS, "properties"]
    all_failed = 0
    for part in parts:
        share = given.seconds / len(parts)
        if part == "properties":
            count, failed = properties(given.seed, share, given.failures)
        else:
            count, failed = calls_at_random(part, given.seed, share, given.failures)
        print(f"{part}: {count} {'rounds' if part == 'properties' else 'calls'}, {failed} failed", flush=True)
        all_failed += failed
    if all_failed:
        print(f"failures are in {given.failures}")
    return int(all_failed > 0)


if __name__ == "__main__":
    sys.exit(main())
