/* What a call costs beside its numbers: each function on one matrix of order 10, many times, on one thread. */
#define _POSIX_C_SOURCE 199309L
#include <fastrenyi.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { n = 10, d = 3 };

static double samples[n * d], gram[n * n], joint[n * n], values[n], bits[1];
static const double width = 1.0, order = 1.01;
static const fr_view_f64 x = {samples, 1, n, d, n * d, d, 1};
static const fr_view_f64 twice[2] = {{gram, 1, n, n, n * n, n, 1}, {gram, 1, n, n, n * n, n, 1}};

static uint32_t flags;

static int make_gram(void) {
    return fr_gaussian_gram_f64(&x, &width, gram, flags, 1);
}
static int make_joint(void) {
    return fr_hadamard_f64(twice, 2, joint, flags, 1);
}
static int make_spectrum(void) {
    return fr_spectrum_f64(twice, values, flags, 1);
}
static int make_entropy(void) {
    return fr_entropy_f64(values, 1, n, &order, 1, 0.0, bits, flags, 1);
}
static int refuse(void) {
    return !fr_spectrum_f64(NULL, values, flags, 1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

/* Nanoseconds of a call: the least of five means. */
static double time_of(int (*call)(void), int times) {
    double least = INFINITY;
    for (int k = 0; k < 5; ++k) {
        const double start = now();
        for (int i = 0; i < times; ++i)
            if (call() != 0) {
                fprintf(stderr, "%s\n", fr_error_message());
                exit(1);
            }
        least = fmin(least, (now() - start) / times);
    }
    return least;
}

int main(int count, char** words) {
    const int times = count > 1 ? atoi(words[1]) : 100000;
    for (int i = 0; i < n * d; ++i) samples[i] = sin(i);
    printf("nanoseconds a call         checked  FR_UNCHECKED\n");
    const struct {
        const char* name;
        int (*call)(void);
    } calls[] = {{"fr_gaussian_gram_f64", make_gram},
                 {"fr_hadamard_f64", make_joint},
                 {"fr_spectrum_f64", make_spectrum},
                 {"fr_entropy_f64", make_entropy},
                 {"an argument refused", refuse}};
    for (size_t k = 0; k < sizeof calls / sizeof *calls; ++k) {
        flags = 0;
        const double checked = time_of(calls[k].call, times);
        flags = FR_UNCHECKED;
        printf("%-24s %9.0f  %12.0f\n", calls[k].name, checked, time_of(calls[k].call, times));
    }
    return 0;
}
