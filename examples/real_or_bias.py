"""
Is 0.37 bits real, or bias?
===========================

Two informations of 0.37 bits, both of 100 of scikit-learn's digits and median widths. One is of a pixel and the
digit's own label, the other of four pixels and the labels of *other* digits, which they know nothing of. The number
does not tell them apart; what tells is the same number with the samples permuted.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import fastrenyi as fr

pixels, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(labels))
mine, others = order[:100], order[100:200]
images = pixels[mine].reshape(-1, 8, 8)

pairs = {
    "a pixel and its digit's label": (images[:, 4, 3].reshape(100, 1), labels[mine]),
    "four pixels and other digits' labels": (images[:, 6:8, 6:8].reshape(100, 4), labels[others]),
}

# %%
# ``null=1000`` permutes the samples of one side a thousand times: what is shared is lost, all else stays.

tests = {
    name: fr.mutual_information(fr.gram(x, bandwidth="median"), fr.gram(y, "delta"), null=1000)
    for name, (x, y) in pairs.items()
}
for name, test in tests.items():
    print(
        f"{name}: {test.value:.3f} bits; null {test.mean:.3f} ± {test.std:.3f};"
        f" excess {test.excess:+.3f}, z = {test.z:.1f}, p = {test.pvalue:.3f}"
    )

# %%
# The bias is a matter of n. Here the label and all pixels: the null falls as samples are added, and what is known,
# the excess over it, grows. Informations of minibatches of different sizes are not comparable; their excesses less so
# than one would wish.

sizes = [25, 50, 100, 200, 400, 800]
by_size = [
    fr.mutual_information(fr.gram(pixels[order[:n]], bandwidth="median"), fr.gram(labels[order[:n]], "delta"), null=20)
    for n in sizes
]
for n, test in zip(sizes, by_size, strict=True):
    print(f"n = {n:3}: {test.value:.2f} bits, null {test.mean:.2f}, excess {test.excess:.2f}")

# %%

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for (name, test), colour in zip(tests.items(), ("tab:blue", "tab:orange"), strict=True):
    axes[0].hist(test.null, bins=30, color=colour, alpha=0.5, label=f"{name}: 1,000 permutations")
    axes[0].axvline(test.value, color=colour, linestyle="--" if colour == "tab:orange" else "-")
axes[0].set(xlabel="I, bits; lines: as the samples are", ylabel="permutations", ylim=(0, 175))
axes[0].legend(fontsize=8, loc="upper left")
axes[1].plot(sizes, [test.value for test in by_size], "o-", label="I(X; label)")
axes[1].plot(sizes, [test.mean for test in by_size], "o:", color="tab:blue", label="its null")
axes[1].plot(sizes, [test.excess for test in by_size], "o-", color="tab:green", label="the excess")
axes[1].set(xscale="log", xlabel="samples n", ylabel="bits", xticks=sizes, xticklabels=sizes)
axes[1].minorticks_off()
axes[1].legend(fontsize=8)
plt.show()
