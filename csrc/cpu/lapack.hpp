// LAPACK and BLAS by function pointers, which the bindings take from SciPy; nothing is linked.
#pragma once
#include <string>

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
    Syevd<float>* ssyevd_2stage = nullptr;  ///< null if this LAPACK does not have it
    Syevd<double>* dsyevd_2stage = nullptr;
    Syrk<float>* ssyrk = nullptr;
    Syrk<double>* dsyrk = nullptr;
};

/// Set once when the module is loaded. SciPy does not pass on the two-stage routines: they are looked up in the library
/// that `dependent_library`, the file of a loaded one, calls.
void set_lapack(const Lapack& pointers, const std::string& dependent_library);

template <class T>
Syevd<T>* syevd();

/// Eigenvalues only ('N'), by way of a band matrix; or null.
template <class T>
Syevd<T>* syevd_2stage();

template <class T>
Syrk<T>* syrk();

}  // namespace fastrenyi::cpu
