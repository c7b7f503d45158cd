"""Several OpenMP runtimes in one process: torch and scikit-learn bring a GNU one of their own each."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import run_python

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="looks for libraries in /proc")

PROGRAM = """
import os, re, sys, threading
import numpy as np
{imports}
from sklearn.metrics import pairwise_distances_argmin

rng = np.random.default_rng(0)
x, many = rng.normal(size=(30, 40, 5)), rng.normal(size=(3000, 8))
grams = fr.gram(x)
# By one thread, and by NumPy.
right = [_core.spectrum(grams, 1).tobytes(), _core.gram(x, "gaussian", np.ones(30), 1, 1.0, 0.0, 1).tobytes()]
nearest = ((many[:, None] - many[:50]) ** 2).sum(-1).argmin(1)
faults = []

def ours():
    found = [_core.spectrum(grams, 3).tobytes(), _core.gram(x, "gaussian", np.ones(30), 1, 1.0, 0.0, 3).tobytes()]
    if found != right:
        faults.append("ours")

def theirs():
    if (pairwise_distances_argmin(many, many[:50]) != nearest).any():
        faults.append("theirs")

for _ in range(20):  # in turn
    ours()
    theirs()
threads = [threading.Thread(target=lambda f=f: [f() for _ in range(20)]) for f in (ours, theirs) * 2]  # at once
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
child = os.fork()
if child == 0:
    ours()
    os._exit(len(faults))
assert os.waitpid(child, 0)[1] == 0
assert not faults, faults
print(len(set(re.findall(r"\\S*/lib[gi]?omp\\S*", open("/proc/self/maps").read()))))
"""
OURS = "import fastrenyi as fr; from fastrenyi import _core"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("imports", [OURS, f"import torch; {OURS}", f"{OURS}; import torch"])
def test_numbers_beside_another_runtime(imports: str) -> None:
    pytest.importorskip("sklearn")
    if "torch" in imports:
        pytest.importorskip("torch")
    warned = (
        "import warnings; warnings.filterwarnings('ignore', 'This process .* is multi-threaded', DeprecationWarning)"
    )
    runtimes = int(run_python(PROGRAM.format(imports=f"{warned}\n{imports}"), timeout=100, OMP_NUM_THREADS="3"))
    assert runtimes >= 1
    if runtimes == 1:
        pytest.skip("scikit-learn uses the same runtime here")


SHARED = """
import re
import numpy as np
{imports}

rng = np.random.default_rng(0)
grams = fr.gram(rng.normal(size=(30, 40, 5)))
for _ in range(3):
    assert _core.spectrum(grams, 3).tobytes() == _core.spectrum(grams, 1).tobytes()
    a = torch.arange(3_000_000, dtype=torch.float64)
    assert float(a.sqrt().square().sum()) == pytest.approx(3e6 * (3e6 - 1) / 2, rel=1e-12)
torch.set_num_threads(2)  # and who sets the threads of one sets those of the other
assert _core.max_threads() == 2
print(*set(re.findall(r"\\S*/lib[gi]?omp\\S*", open("/proc/self/maps").read())), sep="\\n")
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("imports", [f"{OURS}; import torch, pytest", f"import torch, pytest; {OURS}"])
def test_one_runtime_beside_torch(imports: str) -> None:
    """Ours and torch's have the same name, so that the one which is loaded first serves both."""
    torch = pytest.importorskip("torch")
    if not [*(Path(torch.__file__).parent / "lib").glob("libgomp.so.1")]:
        pytest.skip("this torch has a runtime of another name")
    runtimes = run_python(SHARED.format(imports=imports), timeout=100, OMP_NUM_THREADS="3").split()
    assert len(runtimes) == 1, runtimes
