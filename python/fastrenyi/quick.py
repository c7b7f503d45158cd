"""``fastrenyi entropy``: a quick look at the entropies of files of samples, and at what two of them share."""

from __future__ import annotations

import argparse
import json
import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi._array import Values
from fastrenyi.bandwidths import BandwidthName
from fastrenyi.kernels import KernelName

__all__ = ["add_to", "run"]

KERNELS: tuple[KernelName, ...] = get_args(KernelName)
RULES: tuple[BandwidthName, ...] = get_args(BandwidthName)
_FEW = 1000, 100, 19
"""Up to so many samples so many permutations, beyond as many as p = 0.05 needs: each takes a spectrum."""
_EXAMPLES = """
examples:
  fastrenyi entropy activations.npy --alpha 0.5,1,2
  fastrenyi entropy samples.csv --kernel laplacian --bandwidth median
  fastrenyi entropy activations.npy labels.npy --base e --null 500
  fastrenyi entropy runs.npz:layer1 runs.npz:layer2 --json
  fastrenyi entropy similarities.npy --kernel-matrix --alpha 1
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``fastrenyi``."""
    parser = commands.add_parser(
        "entropy",
        help="entropies of files of samples, and the mutual information of two",
        description="Entropies of files of samples, and the mutual information of two files of\nthe same samples.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="samples (n, d) or n numbers in .npy, .npz (FILE.npz:NAME for one array of several) or .csv (a row for "
        "each sample, a header or none)",
    )
    parser.add_argument(
        "--header", action="store_true", help="the first row of a .csv is names; above numbers that is seen"
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--gram", action="store_true", help="the files hold Gram matrices (n, n) of trace one")
    kind.add_argument(
        "--kernel-matrix", action="store_true", help="the files hold kernel matrices (n, n), to be normalised"
    )
    parser.add_argument(
        "--kernel",
        choices=KERNELS,
        metavar="KERNEL",
        help=f"of samples: {', '.join(KERNELS)} (default: gaussian, and delta of labels, n whole numbers or words)",
    )
    parser.add_argument(
        "--bandwidth",
        type=_width,
        metavar="WIDTH",
        help=f"of the kernel: a number, or a rule, {', '.join(RULES)} (default: silverman)",
    )
    parser.add_argument(
        "--alpha", type=_orders, default=[1.01], metavar="A,...", help="orders from 0 to inf (default: 1.01)"
    )
    parser.add_argument("--base", type=_base, default=2.0, help="of the logarithm, a number or e (default: 2, bits)")
    parser.add_argument(
        "--null",
        type=int,
        metavar="K",
        help="of two files: their information beside that of K permutations, 0 for none "
        f"(default: {_FEW[1]}, of more than {_FEW[0]:,} samples {_FEW[2]})",
    )
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")


def run(options: argparse.Namespace) -> str:
    """Return the text to print; ValueError for files and settings that are not as expected."""
    matrices = options.gram or options.kernel_matrix
    for name in ("kernel", "bandwidth"):
        if matrices and getattr(options, name) is not None:
            raise ValueError(f"--{name}: expected none beside --gram or --kernel-matrix, which are of a kernel already")
    if options.null is not None and len(options.files) != 2:
        raise ValueError(f"--null: expected two files, which it compares, got {len(options.files)}")
    if options.null is not None and options.null < 0:
        raise ValueError(f"--null: expected at least 1, or 0 for none, got {options.null}")
    grams, rows = [], []
    for file in options.files:
        try:
            values = _read(file, options)
            kernel = None if matrices else _kernel(values, options.kernel)
            gram = _matrix(values, options.gram) if kernel is None else _gram(values, kernel, options)
            found = fr.entropy(gram, options.alpha, options.base)
        except (TypeError, ValueError) as error:  # the library's words, which name its own arguments
            raise ValueError(f"{file}: {error}") from error
        grams.append(gram)
        rows.append(
            {
                "file": file,
                "kernel": kernel,
                "samples": len(gram),
                "features": None if kernel is None else values[0].size,
                "largest": math.log(len(gram)) / math.log(options.base),
                "entropy": found.tolist(),
            }
        )
    told: dict[str, Any] = {"alpha": options.alpha, "base": options.base, "files": rows}
    if len(grams) == 2 and len(grams[0]) == len(grams[1]):
        told["mutual_information"] = _information(grams[0], grams[1], options)
    elif options.null is not None:
        raise ValueError(f"--null: expected two files of the same samples, got {len(grams[0])} and {len(grams[1])}")
    return json.dumps(_plain(told), indent=1) if options.json else _table(told)


# ------------------------------------------------------------------------------------------------------- files


def _read(file: str, options: argparse.Namespace) -> Values:
    path, name = Path(file), ""
    if not path.exists() and ".npz:" in file:
        before, _, name = file.rpartition(":")
        path = Path(before)
    if path.suffix not in (".npy", ".npz", ".csv"):
        raise ValueError("expected a file of the kind .npy, .npz or .csv; write one with numpy.save")
    if path.suffix == ".csv":
        return _read_csv(path, options.kernel, options.header)
    with path.open("rb") as stream:  # which NumPy leaves open where it is not of its kind
        with _naming(path.suffix):
            found = np.load(stream, allow_pickle=False)
        if isinstance(found, np.lib.npyio.NpzFile):
            chosen = _chosen(found.files, name)
            with _naming(path.suffix):
                found = found[chosen]
        return np.atleast_1d(found)


@contextmanager
def _naming(suffix: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"cannot be read as NumPy's {suffix} of numbers or strings ({error})") from None


def _chosen(names: Sequence[str], wanted: str) -> str:
    """Return the name of the array that is wanted, or of the only one."""
    if wanted in names or (not wanted and len(names) == 1):
        return wanted or names[0]
    listed = ", ".join(names) or "none"
    raise ValueError(f"expected the name of one of its arrays behind the file's, as FILE.npz:NAME; it has {listed}")


def _read_csv(path: Path, kernel: str | None, header: bool) -> Values:
    cells = np.loadtxt(path, dtype=str, delimiter=",", quotechar='"', ndmin=2)
    if header or (len(cells) > 1 and _wrong(cells[:1]) is not None and _wrong(cells[1:2]) is None):
        cells = cells[1:]
    wrong = _wrong(cells)
    if wrong is None:
        return cells.astype(np.float64)
    if kernel == "delta" or (kernel is None and cells.shape[1] == 1):
        return cells
    raise ValueError(f"expected numbers, got {wrong!r}; --kernel delta takes symbols")


def _wrong(cells: Values) -> str | None:
    """Return the first cell that is no number."""
    try:
        cells.astype(np.float64)
    except ValueError:
        for cell in cells.flat:
            try:
                float(cell)
            except ValueError:
                return str(cell)
    return None


# ---------------------------------------------------------------------------------------------------- measures


def _kernel(values: Values, given: KernelName | None) -> KernelName:
    """Return the kernel of samples: of a label for each, words or whole numbers, it is unless told otherwise delta."""
    labels = values.dtype.kind in "USbiu" and values.size == len(values)
    return given or ("delta" if labels else "gaussian")


def _matrix(values: Values, normalised: bool) -> Values:
    if values.ndim != 2:
        _check.value_error("x", "one matrix of shape (n, n)", f"shape {values.shape}")
    values = values.astype(np.float64) if values.dtype.kind in "biu" else values
    return values if normalised else fr.normalize(values)


def _gram(values: Values, kernel: KernelName, options: argparse.Namespace) -> Values:
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        _check.value_error(
            "x", "samples of shape (n, d)", f"shape {values.shape}", "save x.reshape(len(x), -1), a row for each sample"
        )
    if kernel == "delta" and options.kernel is None:
        return fr.gram(values, "delta")  # the width is of the other file
    values = values.astype(np.float64) if values.dtype.kind in "biu" and kernel != "delta" else values
    return fr.gram(values, kernel, cast(float | BandwidthName | None, options.bandwidth))


def _information(a: Values, b: Values, options: argparse.Namespace) -> dict[str, Any]:
    samples, many, few = _FEW
    null = options.null if options.null is not None else many if len(a) <= samples else few
    if null == 0:
        return {"value": fr.mutual_information(a, b, alpha=options.alpha, base=options.base).tolist()}
    test = fr.permutation_test(a, b, null, alpha=options.alpha, base=options.base)
    names = ("value", "mean", "std", "excess", "pvalue")
    return {"permutations": null, **{name: getattr(test, name).tolist() for name in names}}


# ------------------------------------------------------------------------------------------------------- words


def _table(told: dict[str, Any]) -> str:
    """Return lines of aligned columns: a file or an information a line, an order a column."""
    base = told["base"]
    unit = {2.0: "bits", math.e: "nats"}.get(base, f"base {base:g}")
    orders = [f"{alpha:g}" for alpha in told["alpha"]]
    lines = [["", "kernel", "samples", "features", "at most", *(f"alpha {order}" for order in orders)]]
    for row in told["files"]:
        of_samples = [row["kernel"] or "", str(row["samples"]), "" if row["features"] is None else str(row["features"])]
        cells = [f"S({row['file']})", *of_samples, _number(row["largest"])]
        lines.append([*cells, *map(_number, row["entropy"])])
    shared = told.get("mutual_information")
    if shared:
        words = {
            "value": "mutual information",
            "mean": f"  its null, {shared.get('permutations')} permutations",
            "std": "  standard deviation of the null",
            "excess": "  excess over the null",
            "pvalue": "  p",
        }
        lines += [[words[name], "", "", "", "", *map(_number, shared[name])] for name in words if name in shared]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    ]
    if len(told["files"]) == 2 and not shared:
        text.append("no mutual information: that is of two files of the same samples")
    return "\n".join([f"entropies in {unit}", *text])


def _number(value: float) -> str:
    return f"{value:.4f}"


def _plain(value: Any) -> Any:
    """Return what JSON has: it has neither infinity nor NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _width(text: str) -> float | str:
    if text in RULES:
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number or one of {', '.join(RULES)}, got {text}") from None


def _orders(text: str) -> list[float]:
    try:
        found = [float(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 0.5,1,2,inf, got {text}") from None
    if not all(order >= 0 for order in found):
        raise argparse.ArgumentTypeError(f"expected orders of at least 0, got {text}")
    return found


def _base(text: str) -> float:
    try:
        found = math.e if text == "e" else float(text)
    except ValueError:
        found = math.nan
    if not 1 < found < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 1, or e, got {text}")
    return found
