"""How the numbers of a report were made, in words and references that can be cited."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastrenyi.report.groups import Group

#: What the methods paragraph cites, in its order.
REFERENCES = (
    "L. G. Sanchez Giraldo, M. Rao and J. C. Príncipe, “Measures of Entropy From Data Using Infinitely Divisible "
    "Kernels”, IEEE Transactions on Information Theory 61(1), 535–548, 2015, doi:10.1109/TIT.2014.2370058.",
    "S. Yu, L. G. Sanchez Giraldo, R. Jenssen and J. C. Príncipe, “Multivariate Extension of Matrix-Based Rényi's "
    "α-Order Entropy Functional”, IEEE Transactions on Pattern Analysis and Machine Intelligence 42(11), 2960–2966, "
    "2020, doi:10.1109/TPAMI.2019.2932976.",
    "S. Yu, K. Wickstrøm, R. Jenssen and J. C. Príncipe, “Understanding Convolutional Neural Networks With Information "
    "Theory: An Initial Exploration”, IEEE Transactions on Neural Networks and Learning Systems 32(1), 435–442, 2021, "
    "doi:10.1109/TNNLS.2020.2968509, arXiv:1804.06537.",
)

#: I(delta_K; delta_i) as mathematics in HTML.
ERRORS = "<i>I</i>(δ<sub><i>K</i></sub>;&#8239;δ<sub><i>i</i></sub>)"


def methods(groups: Sequence[Group]) -> str:
    """Return the paragraph and the references as HTML: what was measured, on how much, and beside which null."""
    frame = groups[0].frame
    sizes = sorted({int(size) for group in groups for size in group.frame["samples"]})
    size = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    orders = ", ".join(f"{alpha:g}" for alpha in sorted({float(group.frame["alpha"].iloc[0]) for group in groups}))
    permutations, pairs = (int(frame[name].max()) for name in ("permutations", "pair_permutations"))
    null = (
        f"Each information is compared with its null, the same quantity with the samples of one side permuted "
        f"({permutations} permutations{f', {pairs} for pairs of maps' if pairs else ''}); an excess counts from two "
        "standard deviations of the null, by Student's <i>t</i> where these are known from few permutations."
        if permutations
        else "No null was measured."
    )
    sampled = (frame["tradeoff_standard_error"] > 0).any()
    kernel = escape("; ".join(_kernel(group) for group in groups if _kernel(group)))
    over = (
        "Means and standard deviations are over runs."
        if groups[0].seeds > 1
        else ("Means and standard deviations are over the probe minibatches.")
    )
    listed = "".join(f"<li>{escape(one)}</li>" for one in REFERENCES)
    return (
        f"<p>Probe minibatches of {size} samples pass through the network. The outputs of each layer <i>T</i>, the "
        "input <i>X</i> and the labels <i>Y</i> become Gram matrices <i>A</i> of trace one, and the matrix-based Rényi "
        "entropy of order α is <i>S</i><sub>α</sub>(<i>A</i>) = (1 − α)<sup>−1</sup> log<sub>2</sub> Σ<sub>k</sub> "
        f"λ<sub>k</sub>(<i>A</i>)<sup>α</sup>, with α = {orders} [1]. Joint entropies are those of entrywise products, "
        "<i>A</i> ∘ <i>B</i>/tr(<i>A</i> ∘ <i>B</i>) [2], and <i>I</i>(<i>A</i>;<i>B</i>) = <i>S</i>(<i>A</i>) + "
        "<i>S</i>(<i>B</i>) − <i>S</i>(<i>A</i>,<i>B</i>). The redundancy-synergy trade-off and the non-redundant "
        f"information are means over {'a sample of the' if sampled else 'all'} pairs of feature maps, and the two "
        "data-processing chains are those of <i>I</i>(<i>X</i>;<i>T</i>) and, of the gradients δ of the loss, "
        f"{ERRORS} [3]; differences along a chain are taken within a minibatch, and their standard errors are over "
        f"minibatches{' averaged within a run' if groups[0].seeds > 1 else ''}. {null} {over}"
        f"{f' {kernel}.' if kernel else ''} Computed with fastrenyi.</p><ol>{listed}</ol>"
    )


def _kernel(group: Group) -> str:
    """Return the kernel and widths that the settings name, whoever wrote them down."""
    known = {name.removeprefix("Monitor: "): value for name, value in group.run.settings.items()}
    words = {
        "kernel": "Kernel",
        "kernel_on": "on",
        "bins": "bins of equal width",
        "bandwidth": "width",
        "smooth": "share of the earlier width",
        "error_bandwidth": "width of errors",
        "label_kernel": "kernel of labels",
    }
    told = ", ".join(f"{word} {known[name]}" for name, word in words.items() if known.get(name))
    return f"{group.label}: {told}" if told and group.label else told
