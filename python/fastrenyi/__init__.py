"""fastrenyi: matrix-based Renyi entropy of data and of the layers of a network, exact and fast.

Make Gram matrices of samples with ``gram``, ``channel_grams`` and ``tensor_gram``, or of a kernel matrix of your own
with ``normalize``; measure them with ``entropy``, ``mutual_information`` and their family, or a whole layer at once
with ``layer_decomposition``, whose maps ``rank_maps`` puts in order. ``fastrenyi.torch`` captures and measures the
layers of a PyTorch network while it trains.
"""

from fastrenyi._errors import BackendUnavailableError, NotPositiveSemidefiniteError, StoreError
from fastrenyi._loading import __version__
from fastrenyi._settings import get_num_threads, set_num_threads, settings
from fastrenyi.bandwidths import Alignment, Bandwidth, Median, NearestNeighbours, Scott, Silverman
from fastrenyi.comparison import alignment, cauchy_schwarz_information, relative_entropy
from fastrenyi.decomposition import LayerDecomposition, LayerNull, layer_decomposition
from fastrenyi.divergence import cauchy_schwarz_divergence, divergence
from fastrenyi.effective import effective_rank, participation_ratio, stable_rank, vendi_score
from fastrenyi.grams import channel_grams, gram, tensor_gram
from fastrenyi.graphs import graph_gram
from fastrenyi.groups import GroupOInformation, group_o_information
from fastrenyi.kernels import Cosine, Delta, Gaussian, Kernel, Laplacian, Linear, Polynomial
from fastrenyi.large.estimation import Estimate, Estimation
from fastrenyi.large.lazy import LazyGram, lazy_gram
from fastrenyi.leave_one_out import LeaveOneOut, leave_one_out
from fastrenyi.linking import get_cmake_dir, get_include, get_library
from fastrenyi.logdet import coding_rate, eigenscore, logdet_entropy
from fastrenyi.measures import (
    conditional_entropy,
    conditional_mutual_information,
    entropy,
    entropy_of_spectrum,
    joint_entropy,
    mutual_information,
    spectrum,
)
from fastrenyi.multivariate import (
    dual_total_correlation,
    interaction_information,
    o_information,
    total_correlation,
)
from fastrenyi.normalization import normalize
from fastrenyi.null import PermutationTest, permutation_test
from fastrenyi.paths import curvature
from fastrenyi.ranking import MapRanking, RankingNull, rank_maps
from fastrenyi.selfsupervised import dime, infonce, lidar, spectral_slope

__all__ = [
    "Alignment",
    "BackendUnavailableError",
    "Bandwidth",
    "Cosine",
    "Delta",
    "Estimate",
    "Estimation",
    "Gaussian",
    "GroupOInformation",
    "Kernel",
    "Laplacian",
    "LayerDecomposition",
    "LayerNull",
    "LazyGram",
    "LeaveOneOut",
    "Linear",
    "MapRanking",
    "Median",
    "NearestNeighbours",
    "NotPositiveSemidefiniteError",
    "PermutationTest",
    "Polynomial",
    "RankingNull",
    "Scott",
    "Silverman",
    "StoreError",
    "__version__",
    "alignment",
    "cauchy_schwarz_divergence",
    "cauchy_schwarz_information",
    "channel_grams",
    "coding_rate",
    "conditional_entropy",
    "conditional_mutual_information",
    "curvature",
    "dime",
    "divergence",
    "dual_total_correlation",
    "effective_rank",
    "eigenscore",
    "entropy",
    "entropy_of_spectrum",
    "get_cmake_dir",
    "get_include",
    "get_library",
    "get_num_threads",
    "gram",
    "graph_gram",
    "group_o_information",
    "infonce",
    "interaction_information",
    "joint_entropy",
    "layer_decomposition",
    "lazy_gram",
    "leave_one_out",
    "lidar",
    "logdet_entropy",
    "mutual_information",
    "normalize",
    "o_information",
    "participation_ratio",
    "permutation_test",
    "rank_maps",
    "relative_entropy",
    "set_num_threads",
    "settings",
    "spectral_slope",
    "spectrum",
    "stable_rank",
    "tensor_gram",
    "total_correlation",
    "vendi_score",
]
