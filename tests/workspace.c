/* How many bytes calls of the C interface hold at most, beside what its header says: counts glibc's allocations.
 *
 *     workspace LAPACK    prints a row for each call: name, order, threads, bytes held, bytes said
 */
#include <fastrenyi.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void* __libc_malloc(size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);
size_t malloc_usable_size(void*);

static long held, most;

static void* counted(void* block) {
    const long now = __atomic_add_fetch(&held, block ? (long)malloc_usable_size(block) : 0, __ATOMIC_RELAXED);
    long before = __atomic_load_n(&most, __ATOMIC_RELAXED);
    while (now > before && !__atomic_compare_exchange_n(&most, &before, now, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return block;
}

void* malloc(size_t size) {
    return counted(__libc_malloc(size));
}
void* aligned_alloc(size_t alignment, size_t size) {
    return counted(__libc_memalign(alignment, size));
}
int posix_memalign(void** block, size_t alignment, size_t size) {
    *block = counted(__libc_memalign(alignment, size));
    return *block ? 0 : 12;
}
void free(void* block) {
    if (block) __atomic_sub_fetch(&held, (long)malloc_usable_size(block), __ATOMIC_RELAXED);
    __libc_free(block);
}

static long start(void) {
    most = held;
    return held;
}

static void row(const char* name, int64_t n, int threads, long before, double said, int status) {
    if (status != FR_OK) {
        fprintf(stderr, "%s: %s\n", name, fr_error_message());
        exit(1);
    }
    /* a few kilobytes more, of all together and of each thread */
    printf("%s %ld %d %ld %.0f\n", name, (long)n, threads, most - before, said + 8192.0 * (threads + 1));
}

static double bytes_of(double n) {
    return n <= 768 ? 40 * n * n + 1200 * n : 8 * (n * n + 640 * n);
}

static void calls(int64_t b, int64_t n, int64_t d, int threads, int has_lapack) {
    double *x = malloc(8 * (size_t)(b * n * d)), *a = malloc(8 * (size_t)(b * n * n)),
           *joint = malloc(8 * (size_t)(b * n * n));
    double *values = malloc(8 * (size_t)(b * n)), *widths = malloc(8 * (size_t)b),
           *bits = malloc(8 * 2 * (size_t)(b * b));
    int64_t* pairs = malloc(8 * 2 * (size_t)(b * b));
    const double orders[2] = {1.01, 2.0}, *two = orders + 1;
    const int64_t count = b * b;
    for (int64_t i = 0; i < b * n * d; ++i) x[i] = sin((double)(i * i));
    for (int64_t k = 0; k < b; ++k) widths[k] = 1.0;
    for (int64_t k = 0; k < count; ++k) pairs[2 * k] = k / b, pairs[2 * k + 1] = k % b;
    const double t = threads, squares = 8.0 * (double)(b * n * n);
    const fr_view_f64 samples = {x, b, n, d, n * d, d, 1}, strided = {x, b, n, d, n * d, 1, n};
    const fr_view_f64 grams = {a, b, n, n, n * n, n, 1}, transposed = {a, b, n, n, n * n, 1, n};
    const fr_view_f64 factors[2] = {grams, transposed}, target = {a, 1, n, n, 0, n, 1};
    long before = start();
#define ROW(name, said, call) before = start(), row(name, n, threads, before, said, call)
    ROW("laplacian", t * 8.0 * (double)(64 * n + n * (d + 16) + 2 * d),
        fr_laplacian_gram_f64(&strided, widths, a, 0, threads));
    ROW("polynomial", t * 8.0 * (double)(n * (d + 1) + 64 * n),
        fr_polynomial_gram_f64(&samples, 3, 1.0, 1.0, a, 0, threads));
    ROW("distances", t * 8.0 * (double)(64 * n + n * d), fr_distances_f64(&strided, 2, a, 0, threads));
    ROW("gaussian", t * 8.0 * (double)(64 * n + n * (d + 16) + 2 * d),
        fr_gaussian_gram_f64(&strided, widths, a, 0, threads));
    ROW("gaussian", t * 8.0 * (double)(64 * n + n * (d + 16) + 2 * d),
        fr_gaussian_gram_f64(&samples, widths, a, 0, threads));
    ROW("hadamard", t * 8.0 * (double)(3 * n + 2), fr_hadamard_f64(factors, 2, joint, 0, threads));
    ROW("collision", t * 8.0 * (double)(3 * n + 2) + 8.0 * (double)b * ((double)n / 32 + 2),
        fr_collision_entropy_f64(factors, 2, bits, 0, threads));
    if (n <= 768 || has_lapack) {
        ROW("spectrum", t * bytes_of((double)n), fr_spectrum_f64(&grams, values, 0, threads));
        ROW("spectrum", t * bytes_of((double)n) + squares, fr_spectrum_f64(&transposed, values, 0, threads));
        ROW("entropy", t * 8.0 * (double)n, fr_entropy_f64(values, b, n, orders, 2, 0.0, bits, 0, threads));
        for (int64_t i = 0; i < b * n * n; ++i) joint[i] = i / n % n < n * 3 / 4 && i % n < n * 3 / 4 ? a[i] : 0.0;
        const fr_view_f64 padded = {joint, b, n, n, n * n, n, 1};
        ROW("padded", t * fmax(bytes_of((double)n), bytes_of(fmin((double)n, 768))) + 24.0 * (double)(b * n),
            fr_spectrum_f64(&padded, values, 0, threads));
        const double most_of_pairs = fmax(83886080.0, bytes_of((double)n)) + 8.0 * 4096.0 * (double)(4 * n + 8);
        if (n <= 200) {
            ROW("pairs", most_of_pairs,
                fr_pairs_f64(&grams, NULL, pairs, count, orders, 2, 0.0, bits, NULL, 0, threads));
            ROW("pairs", most_of_pairs + squares,
                fr_pairs_f64(&transposed, &target, pairs, count, orders, 1, 0.0, bits, joint, 0, threads));
        }
    }
    if (has_lapack) {
        ROW("pairs2", fmax(8388608.0, 8.0 * (double)(b * n)) + 48.0 * (double)(b * b),
            fr_pairs_f64(&grams, NULL, pairs, count, two, 1, 0.0, bits, NULL, 0, threads));
        ROW("eigh", (t + 1) * 8.0 * (double)(2 * n * n + 10 * n), fr_eigh_f64(&grams, values, joint, 0, threads));
    }
    free(x), free(a), free(joint), free(values), free(widths), free(bits), free(pairs);
}

int main(int count, char** words) {
    const int has_lapack = count > 1 && words[1][0];
    if (has_lapack && fr_load_lapack(words[1]) != FR_OK) {
        fprintf(stderr, "%s\n", fr_error_message());
        return 1;
    }
    for (int threads = 1; threads <= 2; ++threads) {
        calls(9, 10, 20, threads, has_lapack); /* first for the runtime's threads, not shown */
        const int64_t orders[] = {10, 64, 65, 130, 400, 768, 800};
        for (int k = 0; k < 7; ++k) calls(9, orders[k], 20, threads, has_lapack);
    }
    return 0;
}
