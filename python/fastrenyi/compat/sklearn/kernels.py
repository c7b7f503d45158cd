"""Kernels where scikit-learn takes kernel matrices, or kernels of Gaussian processes."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from scipy.special import xlogy
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel
from sklearn.metrics.pairwise import check_pairwise_arrays

from fastrenyi import _check
from fastrenyi._array import Values
from fastrenyi.bandwidths import BandwidthLike
from fastrenyi.kernels import Delta, Gaussian, KernelLike, Laplacian, as_kernel

__all__ = ["PairwiseKernel", "pairwise_kernel"]


def pairwise_kernel(
    X: Any, Y: Any = None, kernel: KernelLike = "gaussian", bandwidth: BandwidthLike | None = None
) -> Values:
    """Return the kernel matrix k(x_i, y_j) of two sets of samples, as ``sklearn.metrics.pairwise.rbf_kernel`` does.

    Parameters
    ----------
    X : array
        Samples (n, d): what scikit-learn takes for an array of numbers, integers and tables of pandas too.
    Y : array, optional
        Samples (m, d); X unless given. A width by a rule, or a mean, is of these.
    kernel : str or Kernel
        "gaussian", "laplacian", "cosine", "polynomial", "linear", "delta", or a kernel such as
        ``fastrenyi.Gaussian(2.0)``.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width; None is its own.

    Returns
    -------
    array
        (n, m), not normalised.

    Raises
    ------
    TypeError, ValueError
        For what scikit-learn refuses as arrays, and for kernels and widths that are none.

    Notes
    -----
    Cost O(n m d), in one call: for ``kernel="precomputed"`` and as ``SVC(kernel=pairwise_kernel)``. Functions that
    ``sklearn.metrics.pairwise.pairwise_kernels`` does not know it calls for each pair of samples, in Python; it calls a
    ``PairwiseKernel`` once.

    Examples
    --------
    >>> from fastrenyi.compat.sklearn import pairwise_kernel
    >>> pairwise_kernel([[0], [1]], [[0], [2]], bandwidth=1.0).round(4)
    array([[1.    , 0.1353],
           [0.6065, 0.6065]])
    """
    one = Y is None
    X, Y = check_pairwise_arrays(X, Y)
    chosen = as_kernel(kernel, bandwidth)
    matrix: Values = chosen(X) if one else chosen(X, Y)
    return matrix


class PairwiseKernel(Kernel):  # type: ignore[misc]
    """A kernel as those of ``sklearn.gaussian_process.kernels``, which can be added, multiplied and fitted.

    ``KernelPCA``, ``KernelRidge``, ``Nystroem``, ``SpectralClustering`` and all that goes through
    ``sklearn.metrics.pairwise.pairwise_kernels`` call it once for all samples.

    Parameters
    ----------
    kernel : str or Kernel
        "gaussian", "laplacian", "cosine", "polynomial", "linear", "delta", or a kernel such as
        ``fastrenyi.Gaussian(2.0)``.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width. A number is a hyperparameter, which ``GaussianProcessRegressor`` fits; a rule, and what a
        kernel brings along, is not.
    bandwidth_bounds : pair of floats or "fixed"
        Between which numbers a width is fitted.

    Raises
    ------
    TypeError, ValueError
        Where it is called, for kernels, widths and samples that are none.

    Notes
    -----
    Cost O(n m d), with the gradient as much again. d k / d log(sigma) is -2 k ln k for the Gaussian kernel and -k ln k
    for the Laplacian one. ``PairwiseKernel("gaussian", s)`` is ``sklearn.gaussian_process.kernels.RBF(s)``.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> from fastrenyi.compat.sklearn import PairwiseKernel
    >>> from sklearn.decomposition import KernelPCA
    >>> x = np.arange(12.0).reshape(6, 2)
    >>> KernelPCA(2, kernel=PairwiseKernel(fr.Gaussian("median"))).fit_transform(x).shape
    (6, 2)
    >>> np.exp((PairwiseKernel("laplacian", 2.0) + PairwiseKernel("cosine")).theta)
    array([2.])
    """

    def __init__(
        self,
        kernel: KernelLike = "gaussian",
        bandwidth: BandwidthLike | None = None,
        bandwidth_bounds: Any = (1e-5, 1e5),
    ) -> None:
        """Keep the settings."""
        self.kernel = kernel
        self.bandwidth = bandwidth
        self.bandwidth_bounds = bandwidth_bounds

    @property
    def hyperparameter_bandwidth(self) -> Any:
        """The width, fixed unless it is a number between bounds."""
        fitted = isinstance(self.bandwidth, numbers.Real)
        return Hyperparameter("bandwidth", "numeric", self.bandwidth_bounds if fitted else "fixed")

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """Return the kernel matrix of X and Y, of X alone also with its gradient (n, n, hyperparameters)."""
        matrix = pairwise_kernel(X, Y, self.kernel, self.bandwidth)
        if not eval_gradient:
            return matrix
        if Y is not None:
            _check.value_error("Y", "None where the gradient is asked for", "another set of samples")
        if self.hyperparameter_bandwidth.fixed:
            return matrix, np.empty((*matrix.shape, 0))
        power = 2 if isinstance(self._chosen(), Gaussian) else 1
        return matrix, (-power * xlogy(matrix, matrix))[..., None]

    def diag(self, X: Any) -> Values:
        """Return k(x, x) of each sample."""
        if self.is_stationary():
            return np.ones(len(X))
        return pairwise_kernel(X, None, self.kernel, self.bandwidth).diagonal().copy()

    def is_stationary(self) -> bool:
        """Whether k(x, y) is a function of x - y."""
        return isinstance(self._chosen(), (Gaussian, Laplacian, Delta))

    def _chosen(self) -> Any:
        return as_kernel(self.kernel, self.bandwidth)

    def __repr__(self) -> str:
        """The settings."""
        return f"{type(self).__name__}({self.kernel!r}, {self.bandwidth!r})"
