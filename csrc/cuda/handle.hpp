// Symmetric eigenproblems by cuSOLVER, which is found when it is first needed and never linked.
//
// Under the host's emulation a solver of its own stands in for it (emulated_solver.hpp).
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "common/stream.hpp"
#include "common/view.hpp"

namespace fastrenyi::cuda {

/// Files to try before the names of the library: where NVIDIA's wheels have put it. Without effect once it is open.
void set_library_paths(const std::vector<std::string>& paths);

struct Library {
    bool found;
    std::string text;  ///< which file, or why not
};
Library solver_library();

/// Bytes of device memory that solve() needs for so many matrices, of which fewer may need more. Throws CudaError if
/// there is no cuSOLVER.
template <class T>
std::size_t solve_workspace(index_t batch, index_t n, bool vectors);

/// The same for pieces of `count` of them, and the last of the rest.
template <class T>
std::size_t solve_workspace_of_pieces(index_t batch, index_t count, index_t n) {
    return std::max(solve_workspace<T>(count, n, false), solve_workspace<T>(batch % count, n, false));
}

/// Eigenvalues, ascending, of dense matrices (b, n, n), which are overwritten, with vectors by these: ROW j belongs to
/// value j. A matrix that is not solved has values of NaN.
template <class T>
void solve(T* matrices, index_t batch, index_t n, bool vectors, T* values, void* workspace, std::size_t workspace_bytes,
           Stream stream);

}  // namespace fastrenyi::cuda
