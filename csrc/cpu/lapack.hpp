// LAPACK and BLAS by function pointers, which the bindings take from SciPy; nothing is linked.
#pragma once

namespace fastrenyi::cpu {

/// xSYEVD: all eigenvalues ('N') or also eigenvectors ('V') of one symmetric matrix, column-major, overwritten.
template <class T>
using Syevd = void(char* job, char* triangle, int* n, T* a, int* lda, T* values, T* work, int* work_size, int* iwork,
                   int* iwork_size, int* info);

/// xSYRK: one triangle of c (n, n) = alpha a' a + beta c for a (k, n), column-major.
template <class T>
using Syrk = void(char* triangle, char* transposed, int* n, int* k, T* alpha, T* a, int* lda, T* beta, T* c, int* ldc);

struct Lapack {
    Syevd<float>* ssyevd = nullptr;
    Syevd<double>* dsyevd = nullptr;
    Syrk<float>* ssyrk = nullptr;
    Syrk<double>* dsyrk = nullptr;
};

/// Set once when the module is loaded.
void set_lapack(const Lapack& pointers);

template <class T>
Syevd<T>* syevd();

template <class T>
Syrk<T>* syrk();

}  // namespace fastrenyi::cpu
