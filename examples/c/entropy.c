/* The entropies of two variables, that of both together, and their mutual information, in C. Build it with CMake:
 *
 *     cmake -S . -B build -Dfastrenyi_DIR="$(python -c 'import fastrenyi; print(fastrenyi.get_cmake_dir())')"
 *     cmake --build build && build/entropy
 */
#include <fastrenyi.h>
#include <math.h>
#include <stdio.h>

enum { n = 50 };

static double grams[3][n][n]; /* of x, of y, of both */

static int failed(void) {
    fprintf(stderr, "%s\n", fr_error_message());
    return 1;
}

int main(void) {
    if (fr_abi_version() != FASTRENYI_ABI_VERSION) {
        fprintf(stderr, "the library is not the one of this header\n");
        return 1;
    }
    double samples[2][n]; /* 50 samples of one feature each */
    for (int i = 0; i < n; ++i) {
        samples[0][i] = sin(i);
        samples[1][i] = cos(3 * i);
    }
    const double widths[2] = {0.5, 0.5}, orders[2] = {1.01, 2.0};
    const fr_view_f64 x = {samples[0], 2, n, 1, n, 1, 1};
    if (fr_gaussian_gram_f64(&x, widths, grams[0][0], 0, 0) != FR_OK) return failed();

    const fr_view_f64 factors[2] = {{grams[0][0], 1, n, n, n * n, n, 1}, {grams[1][0], 1, n, n, n * n, n, 1}};
    if (fr_hadamard_f64(factors, 2, grams[2][0], 0, 0) != FR_OK) return failed();

    const fr_view_f64 all = {grams[0][0], 3, n, n, n * n, n, 1};
    double spectra[3][n], bits[3][2];
    if (fr_spectrum_f64(&all, spectra[0], FR_UNCHECKED, 0) != FR_OK) return failed();
    if (fr_entropy_f64(spectra[0], 3, n, orders, 2, 0.0, bits[0], FR_UNCHECKED, 0) != FR_OK) return failed();

    for (int m = 0; m < 2; ++m)
        printf("order %.2f: S(x) = %.6f, S(y) = %.6f, S(x, y) = %.6f, I(x; y) = %.6f bits\n", orders[m], bits[0][m],
               bits[1][m], bits[2][m], bits[0][m] + bits[1][m] - bits[2][m]);
    return 0;
}
