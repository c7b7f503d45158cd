"""
Which kernel width: what goes wrong on both sides
=================================================

A matrix-based entropy sees samples through a kernel. Here is what it sees of 100 of scikit-learn's digits at widths
from far too narrow to far too wide: how much entropy the pixels X have, what they share with their label Y, beside the
null, and what they share with the pixels of 100 other digits, which is nothing.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import fastrenyi as fr

# %%
# The pixels are from 0 to 16, as scikit-learn has them.

pixels, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(labels))
mine, others = order[:100], order[100:200]
label = fr.gram(labels[mine], "delta")

# %%
# Four rules for the width. Silverman's, without the spread as the paper has it, does not look at the data: of pixels up
# to 16 it makes a Gram whose entropy is log2 n, as if no two digits were alike, and of the same pixels up to 1 another.


def width_of(rule: str) -> float:
    """Return the width that a rule takes: the Gram's entries are exp(-distance^2 / (2 width^2)) / n."""
    first = fr.gram(pixels[mine], bandwidth=rule)[0]
    squared = np.sum((pixels[mine[0]] - pixels[mine]) ** 2, axis=1)
    near = np.argsort(squared)[1]
    return float(np.sqrt(-squared[near] / (2 * np.log(100 * first[near]))))


rules = {rule: width_of(rule) for rule in ("silverman", "scott", "neighbours", "median")}
for rule, width in rules.items():
    gram, other = fr.gram(pixels[mine], bandwidth=width), fr.gram(pixels[others], bandwidth=width)
    of_label, of_others = (fr.mutual_information(gram, b, null=100) for b in (label, other))
    print(
        f"{rule:10} width {width:5.2f}: S(X) {fr.entropy(gram):.3f} bits;"
        f" with the label {of_label.value:.3f}, {of_label.excess:.3f} above the null;"
        f" with other digits {of_others.value:.3f}, {of_others.excess:.3f} above the null"
    )

# %%
# The whole range. On the left all is log2 n = 6.64 bits, whatever the data; on the right all is zero. In between the
# information with other digits, where there is none, is the null's. What is known is the distance of the two blue
# lines.

widths = np.geomspace(2, 1000, 40)
entropy, known, null, unrelated = [], [], [], []
for width in widths:
    gram, other = fr.gram(pixels[mine], bandwidth=width), fr.gram(pixels[others], bandwidth=width)
    test = fr.mutual_information(gram, label, null=20)
    entropy.append(fr.entropy(gram))
    known.append(test.value)
    null.append(test.mean)
    unrelated.append(fr.mutual_information(gram, other))

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
axes.plot(widths, entropy, color="black", label="S(X)")
axes.plot(widths, unrelated, color="tab:orange", label="I(X; other digits), which share nothing")
axes.plot(widths, known, color="tab:blue", label="I(X; label)")
axes.plot(widths, null, color="tab:blue", linestyle=":", label="I(X; label), samples permuted: the null")
axes.fill_between(widths, null, known, color="tab:blue", alpha=0.2, linewidth=0)
for rule, width in rules.items():
    axes.axvline(width, color="grey", linewidth=0.7)
    axes.text(width, 6.95, rule, rotation=90, va="bottom", ha="center", fontsize=8, color="grey")
axes.set(xscale="log", xlabel="width of the Gaussian kernel (pixels are from 0 to 16)", ylabel="bits", ylim=(-0.1, 6.8))
axes.legend(loc="upper right", fontsize=8)
plt.show()
