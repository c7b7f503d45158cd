// LAPACK and BLAS by function pointers, which the bindings take from SciPy; nothing is linked.
#pragma once
#include <string>

namespace fastrenyi::cpu {

/// Matrices are column-major; a symmetric one is given by one triangle. Null where this LAPACK does not have a routine.
template <class T>
struct Lapack {
    /// All eigenvalues ('N') or also eigenvectors ('V') of one symmetric matrix, overwritten.
    void (*syevd)(char* job, char* triangle, int* n, T* a, int* lda, T* values, T* work, int* work_size, int* iwork,
                  int* iwork_size, int* info) = nullptr;

    /// To tridiagonal form, by reflections: some columns, with the update that the rest waits for, or all of a matrix.
    void (*latrd)(char* triangle, int* n, int* columns, T* a, int* lda, T* off, T* tau, T* w, int* ldw) = nullptr;
    void (*sytd2)(char* triangle, int* n, T* a, int* lda, T* diagonal, T* off, T* tau, int* info) = nullptr;

    /// From a band to tridiagonal form; not passed on by SciPy.
    void (*sytrd_sb2st)(char* stage, char* job, char* triangle, int* n, int* width, T* band, int* ldband, T* diagonal,
                        T* off, T* reflections, int* reflections_size, T* work, int* work_size, int* info) = nullptr;

    /// Eigenvalues, ascending, of a tridiagonal matrix.
    void (*sterf)(int* n, T* diagonal, T* off, int* info) = nullptr;

    /// QR decomposition, and the triangle that makes one block of its reflections.
    void (*geqrf)(int* m, int* n, T* a, int* lda, T* tau, T* work, int* work_size, int* info) = nullptr;
    void (*larft)(char* direction, char* stored, int* n, int* k, T* v, int* ldv, T* tau, T* t, int* ldt) = nullptr;

    /// c = alpha a b + beta c, of which in symm a is symmetric; alpha a a' + beta c; alpha (a b' + b a') + beta c.
    void (*gemm)(char* a_transposed, char* b_transposed, int* m, int* n, int* k, T* alpha, T* a, int* lda, T* b,
                 int* ldb, T* beta, T* c, int* ldc) = nullptr;
    void (*symm)(char* side, char* triangle, int* m, int* n, T* alpha, T* a, int* lda, T* b, int* ldb, T* beta, T* c,
                 int* ldc) = nullptr;
    void (*syrk)(char* triangle, char* transposed, int* n, int* k, T* alpha, T* a, int* lda, T* beta, T* c,
                 int* ldc) = nullptr;
    void (*syr2k)(char* triangle, char* transposed, int* n, int* k, T* alpha, T* a, int* lda, T* b, int* ldb, T* beta,
                  T* c, int* ldc) = nullptr;
};

/// Set once when the module is loaded. What SciPy does not pass on is looked up in the library that
/// `dependent_library`, the file of a loaded one, calls.
void set_lapack(const Lapack<float>& single, const Lapack<double>& real, const std::string& dependent_library);

template <class T>
const Lapack<T>& lapack();

/// The address of an argument, which Fortran takes: of a temporary, until the call is over.
template <class V>
V* pass(V&& value) {
    return &value;
}

}  // namespace fastrenyi::cpu
