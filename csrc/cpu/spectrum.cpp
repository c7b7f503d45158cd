#include "ops/spectrum.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/lapack.hpp"

namespace fastrenyi::cpu {
namespace {

template <class T>
void copy_dense(const View<T>& matrix, T* out) {
    for (index_t i = 0; i < matrix.rows; ++i)
        for (index_t j = 0; j < matrix.cols; ++j) *out++ = matrix.at(i, j);
}

/// One thread's LAPACK workspace for matrices of one size.
template <class T>
class Solver {
  public:
    Solver(char job, index_t n) : job_(job), n_(static_cast<int>(n)) {
        T work = 0;
        int iwork = 0;
        call(nullptr, nullptr, &work, -1, &iwork, -1);
        work_.resize(static_cast<std::size_t>(work));
        iwork_.resize(static_cast<std::size_t>(iwork));
    }

    /// Overwrites `a`: with the eigenvectors as rows (LAPACK's columns) when the job asks for them.
    void solve(T* a, T* values) {
        const int info = call(a, values, work_.data(), static_cast<int>(work_.size()), iwork_.data(),
                              static_cast<int>(iwork_.size()));
        if (info != 0) throw LapackError("LAPACK's syevd did not converge (info = " + std::to_string(info) + ")");
    }

    /// Room for one matrix, for callers that have none to overwrite.
    T* scratch() {
        scratch_.resize(static_cast<std::size_t>(n_) * n_);
        return scratch_.data();
    }

  private:
    int call(T* a, T* values, T* work, int work_size, int* iwork, int iwork_size) {
        char triangle = 'L';
        int info = 0;
        syevd<T>()(&job_, &triangle, &n_, a, &n_, values, work, &work_size, iwork, &iwork_size, &info);
        return info;
    }

    char job_;
    int n_;
    std::vector<T> work_, scratch_;
    std::vector<int> iwork_;
};

/// Runs body(b, solver) for each matrix with a solver of the thread's own.
template <class T, class F>
void for_each_matrix(char job, index_t batch, index_t n, int threads, F body) {
    if (batch == 0) return;
    threads = thread_count(threads);
    // One matrix cannot be shared out: BLAS's own threads serve it.
    const BlasThreads hold(batch == 1 ? threads : 1);
    const int workers = static_cast<int>(std::min<index_t>(threads, batch));
    std::vector<Solver<T>> solvers(static_cast<std::size_t>(workers), Solver<T>(job, n));
    parallel_for(batch, workers, [&](index_t b, int worker) { body(b, solvers[worker]); });
}

}  // namespace

template <class T>
void spectrum(const View<T>& a, T* values, int threads) {
    const index_t n = a.rows;
    for_each_matrix<T>('N', a.batch, n, threads, [&](index_t b, Solver<T>& solver) {
        T* matrix = solver.scratch();
        copy_dense(a.matrix(b), matrix);
        solver.solve(matrix, values + b * n);
    });
}

template <class T>
void eigh(const View<T>& a, T* values, T* vectors, int threads) {
    const index_t n = a.rows;
    for_each_matrix<T>('V', a.batch, n, threads, [&](index_t b, Solver<T>& solver) {
        T* matrix = vectors + b * n * n;
        copy_dense(a.matrix(b), matrix);
        solver.solve(matrix, values + b * n);
        for (index_t i = 0; i < n; ++i)  // LAPACK's columns are rows here
            for (index_t j = 0; j < i; ++j) std::swap(matrix[i * n + j], matrix[j * n + i]);
    });
}

template void spectrum(const View<float>&, float*, int);
template void spectrum(const View<double>&, double*, int);
template void eigh(const View<float>&, float*, float*, int);
template void eigh(const View<double>&, double*, double*, int);

}  // namespace fastrenyi::cpu
