"""The functions of representation-itl (``repitl``) that people call, by its names and arguments, in nats.

``import fastrenyi.compat.repitl as itl`` has them all; its modules ``matrix_itl``, ``kernel_utils``,
``difference_of_entropies`` and ``divergences`` have the files' names. Arrays are torch tensors, with gradients, and
NumPy, CuPy and JAX arrays as well, with batch axes in front. Kernel matrices K may have any trace. Where results
differ, they do so on purpose: at alpha = 2 repitl divides by n^2, which is the squared trace of matrices with ones on
their diagonal and no others (said by a warning, once); negative eigenvalues beyond rounding are refused, not left out.
"""

from fastrenyi.compat.repitl import difference_of_entropies, divergences, kernel_utils, matrix_itl
from fastrenyi.compat.repitl.difference_of_entropies import dip, dip_symmetric, doe, doe_symmetric, permuteGram
from fastrenyi.compat.repitl.divergences import (
    divergenceJR,
    divergenceJR_unweighted,
    divergenceJR_weighted,
    repJRD,
    repJRD_cov,
    repJSD,
    repJSD_cov,
    repKL,
    repKL_cov,
)
from fastrenyi.compat.repitl.kernel_utils import (
    ellipticalLaplacianKernel,
    exponentialKernel,
    factorizedLaplacianKernel,
    gaussianKernel,
    linearKernel,
    manhattanDistanceTiled,
    normalizeGramMatrix,
    softmaxKernel,
    squaredEuclideanDistance,
    squaredEuclideanDistanceTiled,
)
from fastrenyi.compat.repitl.matrix_itl import (
    frobeniusGIP,
    generalizedInformationPotential,
    matrixAlphaConditionalEntropy,
    matrixAlphaEntropy,
    matrixAlphaJointEntropy,
    matrixAlphaMutualInformation,
    repMutualInformation,
    vonNeumannEigenValues,
    vonNeumannEntropy,
)

__all__ = [
    "difference_of_entropies",
    "dip",
    "dip_symmetric",
    "divergenceJR",
    "divergenceJR_unweighted",
    "divergenceJR_weighted",
    "divergences",
    "doe",
    "doe_symmetric",
    "ellipticalLaplacianKernel",
    "exponentialKernel",
    "factorizedLaplacianKernel",
    "frobeniusGIP",
    "gaussianKernel",
    "generalizedInformationPotential",
    "kernel_utils",
    "linearKernel",
    "manhattanDistanceTiled",
    "matrixAlphaConditionalEntropy",
    "matrixAlphaEntropy",
    "matrixAlphaJointEntropy",
    "matrixAlphaMutualInformation",
    "matrix_itl",
    "normalizeGramMatrix",
    "permuteGram",
    "repJRD",
    "repJRD_cov",
    "repJSD",
    "repJSD_cov",
    "repKL",
    "repKL_cov",
    "repMutualInformation",
    "softmaxKernel",
    "squaredEuclideanDistance",
    "squaredEuclideanDistanceTiled",
    "vonNeumannEigenValues",
    "vonNeumannEntropy",
]
