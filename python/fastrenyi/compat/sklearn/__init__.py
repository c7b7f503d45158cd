"""Estimators and kernels for scikit-learn: selection of features, kernel matrices, kernels of Gaussian processes.

They need scikit-learn 1.6 or later. ``docs/drop-ins.md`` has them beside scikit-learn's own.
"""

try:
    from sklearn.utils.validation import validate_data as _validate_data  # noqa: F401 - of 1.6, as its tags
except ImportError as error:
    raise ImportError(
        "fastrenyi.compat.sklearn needs scikit-learn 1.6 or later: pip install 'fastrenyi[sklearn]'", name="sklearn"
    ) from error

from fastrenyi.compat.sklearn.feature_selection import RenyiMutualInfoSelector
from fastrenyi.compat.sklearn.kernels import PairwiseKernel, pairwise_kernel

__all__ = ["PairwiseKernel", "RenyiMutualInfoSelector", "pairwise_kernel"]
