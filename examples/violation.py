"""
A violated inequality that is the estimator's fault
===================================================

In a network of linear layers alone, each layer has what it knows of the input from the layer before it: I(X;T1) >=
I(X;T2) >= ... is a theorem. Where an estimate goes up, the estimate is wrong. Here such a network learns scikit-learn's
digits, and is measured with the default width, the median distance, and with the paper's, which does not follow the
data's scale.
"""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

import fastrenyi.torch as frt

pixels, labels = (torch.tensor(part) for part in load_digits(return_X_y=True))
order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
x, y = pixels[order].float() / 16, labels[order]
probe = [(x[k : k + 100], y[k : k + 100]) for k in range(1397, 1797, 100)]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 32), nn.Linear(32, 10))
optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
monitor = frt.Monitor(model, probe, methods={"median": {}, "paper": frt.PAPER}, pairs=False)

# %%
# The Monitor warns that with the paper's width some layers have next to no entropy before training: it is too wide for
# their outputs, which are small.

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    for epoch in range(6):
        if epoch:
            for batch in torch.randperm(1397).split(64):
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
                optimiser.step()
        monitor.measure(epoch)

frame = monitor.frame()
links = frt.inequalities(frame, tolerance=0.001)
links["up"] = links.violation > 0.001
print(
    links.groupby(["method", "chain"]).agg(links=("up", "size"), up=("up", "sum"), worst=("violation", "max")).round(3)
)

# %%
# With the paper's width the outputs grow in training and the width does not: the samples of later layers come apart,
# and I(X;T) rises with S(T), along a chain where it cannot.

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for panel, (method, rows) in zip(axes, frame.groupby("method"), strict=True):
    for epoch in (0, 2, 5):
        chain = rows[rows.step == epoch].groupby("depth").mi_input
        panel.errorbar(chain.mean().index + 1, chain.mean(), chain.std(), marker="o", capsize=2, label=f"epoch {epoch}")
    panel.set(xlabel="layer", ylabel="I(X;T), bits", title=f"width: {method}", ylim=(0, 1.6), xticks=range(1, 5))
    panel.legend()
plt.show()
