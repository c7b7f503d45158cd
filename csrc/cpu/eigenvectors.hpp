// Eigenvectors of one matrix by LAPACK's xSYEVD, in one piece: a call is not interrupted within.
#pragma once
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/view.hpp"
#include "cpu/lapack.hpp"

namespace fastrenyi::cpu {

/// One thread's LAPACK workspace for matrices of one size.
template <class T>
class Eigenvectors {
  public:
    explicit Eigenvectors(index_t n) : n_(static_cast<int>(n)) {
        T work = 0;
        int iwork = 0;
        call(nullptr, nullptr, &work, -1, &iwork, -1);
        // LAPACK tells the size in a T, which may have rounded it down.
        work_.resize(static_cast<std::size_t>(static_cast<double>(work) * (1.0 + 1e-6)) + 1);
        iwork_.resize(static_cast<std::size_t>(iwork));
    }

    /// Overwrites `a` with the eigenvectors as rows (LAPACK's columns).
    void solve(T* a, T* values) {
        const int info = call(a, values, work_.data(), static_cast<int>(work_.size()), iwork_.data(),
                              static_cast<int>(iwork_.size()));
        if (info < 0) throw LapackError("LAPACK's syevd refused its argument " + std::to_string(-info));
        if (info > 0) throw LapackError("LAPACK's syevd did not converge (info = " + std::to_string(info) + ")");
    }

  private:
    int call(T* a, T* values, T* work, int work_size, int* iwork, int iwork_size) {
        int info = 0;
        lapack<T>().syevd(pass('V'), pass('L'), &n_, a, &n_, values, work, &work_size, iwork, &iwork_size, &info);
        return info;
    }

    int n_;
    std::vector<T> work_;
    std::vector<int> iwork_;
};

}  // namespace fastrenyi::cpu
