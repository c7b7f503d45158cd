// LAPACK's xSYEVD with a workspace of its own.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/parallel.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/lapack.hpp"

namespace fastrenyi::cpu {

/// Of matrices that leave the cache, from this size on, eigenvalues alone are quicker by way of a band matrix, which
/// reads them fewer times; measured, see benchmarks/README.md.
constexpr index_t two_stage_bytes = index_t(64) << 20;

/// A single matrix of this order or above, which cannot be shared out, is served by BLAS's own threads. Its last bits
/// then depend on how many they are, as those of no other call do.
constexpr index_t threaded_order = 512;

/// One thread's LAPACK workspace for matrices of one size.
template <class T>
class Solver {
  public:
    Solver(char job, index_t n) : job_(job), n_(static_cast<int>(n)), routine_(syevd<T>()) {
        if (job == 'N' && n * n * index_t(sizeof(T)) >= two_stage_bytes && syevd_2stage<T>())
            routine_ = syevd_2stage<T>();
        T work = 0;
        int iwork = 0;
        call(nullptr, nullptr, &work, -1, &iwork, -1);
        // LAPACK tells the size in a T, which may have rounded it down.
        work_.resize(static_cast<std::size_t>(static_cast<double>(work) * (1.0 + 1e-6)) + 1);
        iwork_.resize(static_cast<std::size_t>(iwork));
    }

    /// Overwrites `a`: with the eigenvectors as rows (LAPACK's columns) when the job asks for them.
    void solve(T* a, T* values) {
        const int info = call(a, values, work_.data(), static_cast<int>(work_.size()), iwork_.data(),
                              static_cast<int>(iwork_.size()));
        if (info < 0) throw LapackError("LAPACK's syevd refused its argument " + std::to_string(-info));
        if (info > 0) throw LapackError("LAPACK's syevd did not converge (info = " + std::to_string(info) + ")");
    }

    /// TridiagonalWorkspace for one matrix, for callers that have none to overwrite.
    T* scratch() {
        scratch_.resize(static_cast<std::size_t>(n_) * n_);
        return scratch_.data();
    }

  private:
    int call(T* a, T* values, T* work, int work_size, int* iwork, int iwork_size) {
        char triangle = 'L';
        int info = 0;
        routine_(&job_, &triangle, &n_, a, &n_, values, work, &work_size, iwork, &iwork_size, &info);
        return info;
    }

    char job_;
    int n_;
    Syevd<T>* routine_;
    std::vector<T> work_, scratch_;
    std::vector<int> iwork_;
};

/// Runs body(b, solver) for each matrix of a batch, with a solver of the thread's own.
template <class T, class F>
void for_each_solver(char job, index_t batch, index_t n, int threads, F body) {
    if (batch == 0) return;
    threads = thread_count(threads);
    const BlasThreads hold(batch == 1 && n >= threaded_order ? threads : 1);
    const int workers = static_cast<int>(std::min<index_t>(threads, batch));
    std::vector<Solver<T>> solvers(static_cast<std::size_t>(workers), Solver<T>(job, n));
    parallel_for(batch, workers, [&](index_t b, int worker) { body(b, solvers[worker]); });
}

}  // namespace fastrenyi::cpu
