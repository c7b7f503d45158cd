// LAPACK and BLAS by function pointers, which the bindings take from SciPy and the C interface from a library that it
// is told of; nothing is linked.
#pragma once
#include <stdexcept>

namespace fastrenyi::cpu {

/// Matrices are column-major; a symmetric one is given by one triangle.
template <class T>
struct Lapack {
    /// All eigenvalues ('N') or also eigenvectors ('V') of one symmetric matrix, overwritten.
    void (*syevd)(char* job, char* triangle, int* n, T* a, int* lda, T* values, T* work, int* work_size, int* iwork,
                  int* iwork_size, int* info) = nullptr;

    /// Eigenvalues, ascending, of a tridiagonal matrix.
    void (*sterf)(int* n, T* diagonal, T* off, int* info) = nullptr;

    /// QR decomposition Q = I - V T V', m >= n.
    void (*geqrt3)(int* m, int* n, T* a, int* lda, T* t, int* ldt, int* info) = nullptr;

    /// c = alpha a b + beta c; alpha a a' + beta c.
    void (*gemm)(char* a_transposed, char* b_transposed, int* m, int* n, int* k, T* alpha, T* a, int* lda, T* b,
                 int* ldb, T* beta, T* c, int* ldc) = nullptr;
    void (*syrk)(char* triangle, char* transposed, int* n, int* k, T* alpha, T* a, int* lda, T* beta, T* c,
                 int* ldc) = nullptr;
};

/// Nobody has set it.
struct NoLapack : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Set once, before it is called or while others ask for it in vain.
void set_lapack(const Lapack<float>& single, const Lapack<double>& real);

/// Throws NoLapack.
template <class T>
const Lapack<T>& lapack();

/// The address of an argument, which Fortran takes: of a temporary, until the call is over.
template <class V>
V* pass(V&& value) {
    return &value;
}

}  // namespace fastrenyi::cpu
