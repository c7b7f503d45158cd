// How many threads BLAS uses while we call it.
#pragma once
#include <string>

namespace fastrenyi::cpu {

/// Tells where BLAS's own controls are: the file of a loaded library that is it or depends on it, or "" for the program
/// itself. Set once.
void set_blas_controls(const std::string& dependent_library);

/// The configuration string of the BLAS in use, empty if it does not tell.
std::string blas_configuration();

/// Holds BLAS at `threads` threads, or fewer if it has fewer, while it lives and sets it back afterwards. With several
/// alive at once (calls from several Python threads) the smallest number counts, and the last one to leave restores.
/// Every call into BLAS or LAPACK is made under one: a fork waits until none of another
/// thread is alive.
class BlasThreads {
  public:
    explicit BlasThreads(int threads);
    ~BlasThreads();
    BlasThreads(const BlasThreads&) = delete;
    BlasThreads& operator=(const BlasThreads&) = delete;

  private:
    int threads_;
};

}  // namespace fastrenyi::cpu
