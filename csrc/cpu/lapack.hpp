// LAPACK by function pointers, which the bindings take from SciPy; nothing is linked.
#pragma once

namespace fastrenyi::cpu {

/// xSYEVD: all eigenvalues ('N') or also eigenvectors ('V') of one symmetric matrix, column-major, overwritten.
template <class T>
using Syevd = void(char* job, char* triangle, int* n, T* a, int* lda, T* values, T* work, int* work_size, int* iwork,
                   int* iwork_size, int* info);

struct Lapack {
    Syevd<float>* ssyevd = nullptr;
    Syevd<double>* dsyevd = nullptr;
};

/// Set once when the module is loaded.
void set_lapack(const Lapack& pointers);

template <class T>
Syevd<T>* syevd();

}  // namespace fastrenyi::cpu
