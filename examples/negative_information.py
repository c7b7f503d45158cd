"""
A mutual information below zero
===============================

Shannon's mutual information is never negative. That of another order may be, as S(A) + S(B) - S(A, B) is no
divergence there, and is returned as it is. Here are single pixels of scikit-learn's digits, black or white: each two
of them under Delta kernels, so that entropies are those of counts and no kernel width plays a part.
"""

from __future__ import annotations

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import fastrenyi as fr

pixels = load_digits().data > 8
pixels = pixels[np.random.default_rng(0).permutation(len(pixels))[:200]]
kept = [k for k in range(64) if 0 < pixels[:, k].sum() < 200]
grams = {k: fr.gram(pixels[:, k].astype(int), "delta") for k in kept}

# %%
# All pairs of pixels, at orders 1 (Shannon), 1.01 (the default) and 2.

orders = [1, 1.01, 2]
pairs = list(combinations(kept, 2))
found = np.array([fr.mutual_information(grams[i], grams[j], alpha=orders) for i, j in pairs])
for alpha, values in zip(orders, found.T, strict=True):
    below = (values < -1e-9).sum()
    print(f"alpha = {alpha}: {below} of {len(pairs)} pairs below zero, the least {values.min():+.4f} bits")

# %%
# The pair that is lowest at order 2, at all orders from 0.5 to 5.

i, j = pairs[found[:, -1].argmin()]
print(f"pixels {divmod(i, 8)} and {divmod(j, 8)}: both white {np.sum(pixels[:, i] & pixels[:, j])} times of 200,")
print(f"the first {pixels[:, i].sum()} times, the second {pixels[:, j].sum()} times")

alphas = np.linspace(0.5, 5, 91)
curve = fr.mutual_information(grams[i], grams[j], alpha=alphas)
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
axes[0].plot(found[:, 0], found[:, -1], ".", markersize=3)
axes[0].axhline(0, color="grey", linewidth=0.7)
axes[0].set(xlabel="I of order 1, bits", ylabel="I of order 2, bits", title="all pairs of pixels")
axes[1].plot(alphas, curve)
axes[1].axhline(0, color="grey", linewidth=0.7)
axes[1].set(xlabel="order alpha", ylabel="I, bits", title="the pair that is lowest at order 2")
plt.show()
