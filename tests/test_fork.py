"""A process forked after the library was used can use it: OpenMP's and BLAS's threads do not survive a fork."""

from __future__ import annotations

import os
import sys

import pytest

from conftest import run_python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

SETUP = """
import os, sys, threading, time, warnings
import numpy as np
import fastrenyi as fr
from fastrenyi import _core

# From 3.12 on Python warns of any fork of a process with threads, which is what is tried here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 30, 5))
BIG = fr.gram(rng.normal(size=(800, 4)))
BATCH = fr.gram(X)

def use():
    grams = fr.gram(X, "gaussian", "median")
    found = fr.layer_decomposition(grams[:8], grams[8])
    return np.concatenate([
        fr.entropy(grams, [0.5, 1, 2]).ravel(), found.pairwise.ravel(),
        [found.mmi, fr.joint_entropy(list(grams)), fr.divergence(X[0], X[1]), fr.entropy(BIG)],
    ])

def wait(child):
    status = os.waitpid(child, 0)[1]
    if status:
        sys.exit(f"child ended with status {status}")

def same(a, b):
    return np.allclose(a, b, rtol=0, atol=1e-12)
"""
# A hang is killed by run_python and fails; these take a second or two.
LIMIT = 60


def run(program: str, timeout: float = LIMIT) -> str:
    return run_python(SETUP + program, timeout, OMP_NUM_THREADS="2")


def test_fork_after_use() -> None:
    run("""
expected = use()
child = os.fork()
if child == 0:
    os._exit(0 if same(use(), expected) and same(use(), expected) else 3)
wait(child)
assert same(use(), expected)  # and the parent goes on, with its threads
""")


def test_fork_before_use() -> None:
    run("""
child = os.fork()
if child == 0:
    os._exit(0 if np.isfinite(use()).all() else 3)
wait(child)
use()
""")


def test_child_of_a_child() -> None:
    run("""
expected = use()
child = os.fork()
if child == 0:
    assert same(use(), expected)
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(0 if same(use(), expected) else 3)
    wait(grandchild)
    os._exit(0 if same(use(), expected) else 3)
wait(child)
""")


BUSY = """
call = lambda: {call}
expected, right = use(), call()
stop, faults = False, []
def busy():
    while not stop:
        try:
            if not same(call(), right):
                faults.append("a wrong result in the parent")
        except Exception as error:
            faults.append(error)
threads = [threading.Thread(target=busy) for _ in range(2)]
for thread in threads:
    thread.start()
try:
    for _ in range(4):
        child = os.fork()
        if child == 0:
            os._exit(0 if same(use(), expected) else 3)
        wait(child)
finally:
    stop = True
    for thread in threads:
        thread.join()
assert not faults, faults[0]
"""


@pytest.mark.parametrize(
    "call", ["fr.gram(X)", "fr.entropy(BATCH)", "fr.layer_decomposition(BATCH[:8], BATCH[8]).pairwise"]
)
def test_fork_while_other_threads_are_in_calls(call: str) -> None:
    """Whatever lock such a call holds at the moment of the fork must not stay closed in the child."""
    run(BUSY.format(call=call))


def test_fork_while_another_thread_is_inside_threaded_blas() -> None:
    """Eigenvectors of one large matrix are by BLAS's own threads, which OpenBLAS stops before a fork, whoever is using
    them: without care the parent hangs, or its numbers are wrong.
    """
    run(BUSY.format(call="_core.eigh(BIG[None], 0)[0]"))


def test_pool_of_forked_workers() -> None:
    run("""
import multiprocessing
expected = use()
def work(_):
    return use()
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map(work, range(4))
    pool.close()
    pool.join()
assert len(found) == 4
assert all(same(f, expected) for f in found)
""")


@pytest.mark.parametrize("order", ["torch first", "fastrenyi first"])
def test_data_loader_with_workers(order: str) -> None:
    """Samples are measured in the workers of a DataLoader while the parent has torch's and our threads."""
    first = "import torch\n" if order == "torch first" else ""
    output = run_python(
        first
        + SETUP
        + """
import torch
from torch.utils.data import DataLoader, Dataset
torch.set_num_threads(2)

class Entropies(Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, k):
        gram = fr.gram(torch.from_numpy(X[k]))
        return fr.entropy(gram), torch.from_numpy(fr.spectrum(gram.numpy()))

data = Entropies()
expected = [data[k] for k in range(6)]
use()
torch.ones(300, 300) @ torch.ones(300, 300)
loader = DataLoader(data, batch_size=2, num_workers=2, timeout=40, multiprocessing_context="fork")
for epoch in range(2):
    found = [batch for batch in loader]
    entropies = torch.cat([e for e, _ in found])
    spectra = torch.cat([s for _, s in found])
    assert torch.allclose(entropies, torch.stack([e for e, _ in expected]), rtol=0, atol=1e-12)
    assert torch.allclose(spectra, torch.stack([s for _, s in expected]), rtol=0, atol=1e-12)
    use()
print("done")
""",
        timeout=LIMIT,
        OMP_NUM_THREADS="2",
    )
    assert output == "done\n"


def test_a_child_that_hangs_or_is_wrong_fails_the_test() -> None:
    """The guard itself."""
    with pytest.raises(AssertionError, match="status"):
        run("""
child = os.fork()
if child == 0:
    os._exit(3)
wait(child)
""")
    with pytest.raises(pytest.fail.Exception, match="no end"):
        run_python("import time; time.sleep(60)", timeout=1)


@pytest.mark.skipif(sys.platform != "linux", reason="the default start method of Linux")
def test_forked_process_of_multiprocessing() -> None:
    run("""
import multiprocessing
context = multiprocessing.get_context("fork")
expected = use()
queue = context.SimpleQueue()
process = context.Process(target=lambda: queue.put(use()))
process.start()
found = queue.get()
process.join(30)
assert process.exitcode == 0
assert same(found, expected)
""")
