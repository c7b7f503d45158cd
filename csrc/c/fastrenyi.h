/* The C interface of fastrenyi: Grams, joint Grams, spectra and matrix-based Renyi entropies, by pointer and stride.
 *
 * Memory      The caller owns what it passes. Inputs are read where they lie; outputs are dense, row by row, every
 *             element is written, and they overlap nothing else that is passed. Workspace is allocated within a call
 *             and freed before it returns, no more than stands beside each function ("Workspace", for each thread or
 *             in all) and a few kilobytes, what LAPACK keeps for itself not counted; where there is none the call
 *             returns FR_OUT_OF_MEMORY.
 * Strides     count elements, not bytes. They may be zero (the same matrix or row again) or negative. Data is aligned
 *             to the size of its elements.
 * Threads     `threads` is how many a call may use, 0 for OpenMP's own number (OMP_NUM_THREADS), of which there are
 *             never more; fr_max_threads() tells it. Results are the same bits for any number, fr_eigh_* of a single
 *             matrix of order 512 or above apart. Any function may be called by several threads at once.
 * Errors      A function returns FR_OK or another fr_status: treat any that is not FR_OK as a failure, for later
 *             versions may have more. What was wrong is told by fr_error_message() and fr_error_index() to the thread
 *             that called. Outputs are then of no use. No C++ exception leaves the library.
 * Checks      NULL, sizes, orders and the like are always checked. Numbers (that all are finite, matrices symmetric to
 *             1e-8 of their largest element, floats to 1e-5) are looked at in one pass; FR_UNCHECKED leaves that
 *             out where the caller knows them: of others results are of no use.
 * Versions    What is declared here stays as it is while FASTRENYI_ABI_VERSION does; functions, flags and status codes
 *             may be added to it. Ask fr_abi_version() where the library is opened by name.
 *
 * Names that end in _f32 take floats, in _f64 doubles. b is the number of matrices, n of samples, d of features. */
#ifndef FASTRENYI_H
#define FASTRENYI_H

#include <stdint.h>

#define FASTRENYI_ABI_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

/* What a call returns, and what fr_error_index() is then. */
enum fr_status {
    FR_OK = 0,
    FR_INVALID_ARGUMENT = 1, /* of what was passed beside the numbers; the place in `widths`, `orders`, `pairs` */
    FR_NOT_FINITE = 2,       /* NaN or infinity: the place of the element in (b, rows, cols) */
    FR_NOT_SYMMETRIC = 3,    /* the place of an element in (b, n, n) that differs from the mirrored one */
    FR_ZERO = 4,             /* nothing to divide by: the matrix, pair or spectrum of trace zero, the sample of zeros */
    FR_INDEFINITE = 5,       /* an eigenvalue below zero by more than rounding: the matrix, pair or spectrum */
    FR_NO_LAPACK = 6,        /* LAPACK is needed and fr_load_lapack() was not called */
    FR_NOT_CONVERGED = 7,    /* LAPACK gave up */
    FR_OUT_OF_MEMORY = 8,
    FR_INTERNAL = 9 /* a fault of the library, or FASTRENYI_ISA names no instruction set that runs here */
};

/* Flags, joined by |; 0 for none. */
enum fr_flags {
    FR_UNCHECKED = 1 /* numbers are not looked at: the caller knows them to be finite, and matrices to be symmetric */
};

/* b matrices of rows x cols elements, element (k, i, j) at data[k * batch_stride + i * row_stride + j * col_stride]. */
typedef struct fr_view_f32 {
    const float* data;
    int64_t batch, rows, cols;
    int64_t batch_stride, row_stride, col_stride;
} fr_view_f32;

typedef struct fr_view_f64 {
    const double* data;
    int64_t batch, rows, cols;
    int64_t batch_stride, row_stride, col_stride;
} fr_view_f64;

typedef struct fr_view_i64 {
    const int64_t* data;
    int64_t batch, rows, cols;
    int64_t batch_stride, row_stride, col_stride;
} fr_view_i64;

/* ------------------------------------------------------------------------------------------------ about the library */

/* FASTRENYI_ABI_VERSION of the library that is loaded. */
int fr_abi_version(void);

/* The version of the package it is from, such as "0.1.0". */
const char* fr_version(void);

/* How many threads a call with threads = 0 may use: OpenMP's number; 1 within one of its parallel regions, and in a
 * process forked from one that has called the library. */
int fr_max_threads(void);

/* What was wrong with the last call of this thread that failed: the argument, what was expected, what came. Empty if
 * none did. Valid until the next call of this thread that fails. */
const char* fr_error_message(void);

/* Where that was, counted from 0 (see fr_status); -1 where there is no place. */
int64_t fr_error_index(void);

/* Loads LAPACK and BLAS: `library` is a file, or a name that the loader finds, such as "liblapack.so.3"; or another
 * library that depends on them; or NULL for those that the program itself is linked with. Their integers must be of 32
 * bits (LP64), which is tried. Once in a process: later calls find them there and return FR_OK. LAPACK is needed by
 *     fr_eigh_*                     of order n > 16
 *     fr_spectrum_*, fr_pairs_*     of order n > 768
 *     fr_pairs_* of order 2 alone   more than four pairs to a map
 * and by nothing else; what runs without it gives the same bits with it. */
int fr_load_lapack(const char* library);

/* ------------------------------------------------------------------------------------------- samples to Grams: gram */

/* A_ij = exp(-|x_i - x_j|^2 / (2 width^2)) / n, Euclidean norm.
 * x (b, n, d); widths (b,), each finite and not negative, 0 for the narrow limit: 1/n for equal rows, else 0;
 * out (b, n, n), exactly symmetric, its diagonal exactly 1/n. b >= 0, n >= 1, d >= 1.
 * Sums run in double, of floats in parts of 64 to 512 in float. Numbers are always looked at, on the way.
 * Workspace: per thread 64 n doubles, and n (d + 16) + 2 d elements. */
int fr_gaussian_gram_f32(const fr_view_f32* x, const double* widths, float* out, uint32_t flags, int threads);
int fr_gaussian_gram_f64(const fr_view_f64* x, const double* widths, double* out, uint32_t flags, int threads);

/* A_ij = exp(-|x_i - x_j|_1 / width) / n, sum of magnitudes. As above in all else. */
int fr_laplacian_gram_f32(const fr_view_f32* x, const double* widths, float* out, uint32_t flags, int threads);
int fr_laplacian_gram_f64(const fr_view_f64* x, const double* widths, double* out, uint32_t flags, int threads);

/* A_ij = K_ij / (n sqrt(K_ii K_jj)), K_ij = (gamma <x_i, x_j> + coef0)^degree; the cosine kernel is degree 1, gamma 1,
 * coef0 0. x and out as above. degree >= 1, gamma > 0, coef0 >= 0; with coef0 = 0 a sample of zeros is FR_ZERO.
 * Numbers are always looked at. Workspace: per thread n (d + 1) and 64 n doubles. */
int fr_polynomial_gram_f32(const fr_view_f32* x, int degree, double gamma, double coef0, float* out, uint32_t flags,
                           int threads);
int fr_polynomial_gram_f64(const fr_view_f64* x, int degree, double gamma, double coef0, double* out, uint32_t flags,
                           int threads);

/* A_ij = 1/n where rows i and j are equal in every feature, else 0: labels, for instance. x (b, n, d); out (b, n, n),
 * of doubles whatever x is. No workspace. */
int fr_delta_gram_f32(const fr_view_f32* x, double* out, uint32_t flags, int threads);
int fr_delta_gram_f64(const fr_view_f64* x, double* out, uint32_t flags, int threads);
int fr_delta_gram_i64(const fr_view_i64* x, double* out, uint32_t flags, int threads);

/* |x_i - x_j| for p = 2 (Euclidean) and |x_i - x_j|_1 for p = 1, of which widths may be chosen: their median, say.
 * x (b, n, d); out (b, n, n). To 1e-12 relative in double, at any offset and scale.
 * Workspace: per thread 64 n doubles, and n d elements where features are not contiguous. */
int fr_distances_f32(const fr_view_f32* x, int p, float* out, uint32_t flags, int threads);
int fr_distances_f64(const fr_view_f64* x, int p, double* out, uint32_t flags, int threads);

/* ------------------------------------------------------------------------------------- Grams to joint Grams: hadamard
 */

/* J = (A_1 o ... o A_c) / tr(A_1 o ... o A_c), o entry by entry: the Gram of c variables together.
 * factors: `count` views (b, n, n), count >= 1; batch_stride 0 takes one matrix for all. out (b, n, n). A product of
 * trace zero is FR_ZERO. Products run in double. Workspace: per thread 3 n + count doubles. */
int fr_hadamard_f32(const fr_view_f32* factors, int64_t count, float* out, uint32_t flags, int threads);
int fr_hadamard_f64(const fr_view_f64* factors, int64_t count, double* out, uint32_t flags, int threads);

/* --------------------------------------------------------------------------------------- Grams to spectra: spectrum */

/* Eigenvalues of symmetric matrices a (b, n, n), n >= 1; values (b, n), ascending.
 * Needs LAPACK for n > 768. Workspace: per thread 40 n^2 + 1200 n bytes, for n > 768 n^2 + 640 n elements; 64 b bytes;
 * b n^2 elements where columns are not contiguous (col_stride other than 1); where zeros surround smaller
 * matrices what those take, and 3 b n elements. */
int fr_spectrum_f32(const fr_view_f32* a, float* values, uint32_t flags, int threads);
int fr_spectrum_f64(const fr_view_f64* a, double* values, uint32_t flags, int threads);

/* Also eigenvectors: vectors (b, n, n), column j of a matrix belongs to value j. Needs LAPACK for n > 16.
 * Workspace: per thread, and once more, 2 n^2 + 10 n elements. */
int fr_eigh_f32(const fr_view_f32* a, float* values, float* vectors, uint32_t flags, int threads);
int fr_eigh_f64(const fr_view_f64* a, double* values, double* vectors, uint32_t flags, int threads);

/* ------------------------------------------------------------------------------------- spectra to entropies: entropy
 */

/* S_alpha = log2(sum_i p_i^alpha) / (1 - alpha) in bits, of eigenvalues p divided by their sum.
 * spectra (b, n), dense, in any order; orders (m,), each in [0, inf], m >= 1: 0, 1, 2 and inf are the exact limits
 * (log2 rank, von Neumann, collision, -log2 of the largest); out (b, m).
 * Eigenvalues below zero count as zero down to -max(n, 8) epsilon times the largest, a lower one is FR_INDEFINITE;
 * zeros alone are FR_ZERO. epsilon is that of the type the matrices were made in, in (0, 1), or 0 for that of the
 * elements. Workspace: per thread n doubles. */
int fr_entropy_f32(const float* spectra, int64_t batch, int64_t n, const double* orders, int64_t order_count,
                   double epsilon, float* out, uint32_t flags, int threads);
int fr_entropy_f64(const double* spectra, int64_t batch, int64_t n, const double* orders, int64_t order_count,
                   double epsilon, double* out, uint32_t flags, int threads);

/* Order 2 of the joint variable of Grams, without their joint Gram and without a spectrum: for the product P,
 * S_2 = -log2(|P|_F^2 / tr(P)^2) in bits. factors as in fr_hadamard_*; out (b,). FR_ZERO as there.
 * Workspace: per thread 3 n + count doubles, and b n / 32 + 2 b. */
int fr_collision_entropy_f32(const fr_view_f32* factors, int64_t count, float* out, uint32_t flags, int threads);
int fr_collision_entropy_f64(const fr_view_f64* factors, int64_t count, double* out, uint32_t flags, int threads);

/* -------------------------------------------------------------------------- pairs of Grams to joint entropies: pairs
 */

/* Joint entropies of pairs of the Grams `maps` (c, n, n), alone and with `target` (1, n, n) or NULL.
 * pairs (p, 2), dense: which two maps, from 0 on; a pair (i, i) stands for the map i alone.
 * alone (p, m): S_alpha(M_i, M_j) for each of m orders; joint (p, m): S_alpha(M_i, M_j, target), NULL without a target.
 * orders and epsilon as in fr_entropy_*. Errors as of fr_hadamard_* and fr_entropy_*, of the first pair.
 * Products are made in the workspace of the spectrum and nothing of them is kept. At order 2 alone there is no
 * spectrum. Needs LAPACK for n > 768, and at order 2 alone for more than 4 c pairs.
 * Workspace: 80 MiB in all, or that of one thread in fr_spectrum_* where it is more; 4096 (4 n + 8) doubles at most for
 * spectra; c n^2 elements where columns are not contiguous, and once more for a target that is block-diagonal; at order
 * 2 alone 8 MiB, or c n elements where that is more, and 6 c^2 doubles. */
int fr_pairs_f32(const fr_view_f32* maps, const fr_view_f32* target, const int64_t* pairs, int64_t pair_count,
                 const double* orders, int64_t order_count, double epsilon, float* alone, float* joint, uint32_t flags,
                 int threads);
int fr_pairs_f64(const fr_view_f64* maps, const fr_view_f64* target, const int64_t* pairs, int64_t pair_count,
                 const double* orders, int64_t order_count, double epsilon, double* alone, double* joint,
                 uint32_t flags, int threads);

#ifdef __cplusplus
}
#endif

#endif /* FASTRENYI_H */
