// The interface between the ordinary code and the engines, one for each instruction set it was compiled for.
// Plain data and function pointers only: see lanes.hpp.
#pragma once
#include <cstdint>

namespace fastrenyi::cpu {

/// A symmetric n x n matrix somewhere in memory: contiguous rows, `stride` from one to the next.
template <class T>
struct Symmetric {
    const T* data;
    std::int64_t stride;
};

/// What one lane works on: a matrix, or the entrywise product of two (`second.data` not null).
template <class T>
struct Lane {
    Symmetric<T> first, second;
};

/// What a matrix must be measured by to be a Gram.
template <class T>
struct Extent {
    bool finite;
    T largest;    ///< magnitude of an element
    T asymmetry;  ///< largest |a_ij - a_ji|
};

constexpr std::int64_t most_groups = 4;  // of lanes in flight in one call
constexpr std::int64_t most_lanes = 16;  // of any engine
/// What an engine calls some ten times a second or more often. It may throw: an engine holds nothing.
using Rest = void();

constexpr std::int64_t band_width = 32;   ///< off-diagonals below the diagonal of a band
constexpr std::int64_t band_stride = 80;  ///< from one of its columns to the next: as many fill in; and a vector
constexpr std::int64_t sweeps = 8;        ///< columns taken in turn, so that their part of the band stays in cache
constexpr std::int64_t sweep_lag = 2;     ///< steps
constexpr std::int64_t chase_state = sweeps * (band_width + 1);  ///< elements

constexpr std::int64_t pole_multiple = 8;  // add_resolvents takes so many, or two times, three times

/// What is summed over the features of two samples; `scale` multiplies differences where it is used.
enum class Core {
    squared,         ///< (x - y)^2
    scaled_squared,  ///< ((x - y) scale)^2, for scales whose squares would leave the range
    absolute,        ///< |(x - y) scale|
    far_squared,     ///< ((x - y) scale^2)^2, for factors that are no numbers themselves, or no exact ones
    far_absolute,    ///< |(x - y) scale^2|
    product,         ///< x y
};

template <class T>
struct Engine {
    const char* name;
    std::int64_t lanes;  ///< matrices to a group

    /// Bytes of workspace, aligned to 64, for matrices of order n.
    std::int64_t (*workspace)(std::int64_t n);

    /// Eigenvalues in ascending order, those of an item `ld` after the last one's, of up to most_groups * lanes
    /// matrices of order n >= 2; each first multiplied by scale, and entrywise by `common` if it is not null. All items
    /// have a second matrix or none has. failed[] is set where one did not converge. A matrix gives the same bits
    /// whatever its neighbours are.
    void (*spectra)(const Lane<T>* items, std::int64_t count, std::int64_t n, const Symmetric<T>* common, T scale,
                    T* values, std::int64_t ld, bool* failed, void* workspace, Rest* rest);

    /// The same of symmetric tridiagonal matrices, up to `lanes` of them, n >= 2: diagonals (n) and off-diagonals (n -
    /// 1) `stride` apart.
    void (*tridiagonal_spectra)(const T* diagonals, const T* off, std::int64_t stride, std::int64_t count,
                                std::int64_t n, T* values, std::int64_t ld, bool* failed, void* workspace);

    /// For one dense matrix, aligned to 64: what its rows are padded to, in elements. See dense.hpp and resolvent.hpp.
    std::int64_t (*padded)(std::int64_t n);
    void (*reduce)(T* a, std::int64_t n, std::int64_t ld, T* d, T* e, T* work, Rest* rest);
    void (*expand)(T* m, const T* reflections, std::int64_t n, std::int64_t ld, T* work, Rest* rest);
    void (*add_resolvents)(T* m, std::int64_t n, std::int64_t ld, const T* d, const T* e, const double* shifts,
                           const double* weights, std::int64_t count, double base, void* work, Rest* rest);

    /// Some steps of taking `sweeps` columns of a band of order n, from the first on, to tridiagonal form. A column's
    /// step k, about the block at row first + 1 + k band_width, may follow once the column before has made its step k +
    /// 1; here each is sweep_lag steps behind it. `state` (chase_state) is kept between the steps of the same columns.
    /// The band's columns are followed by 2 band_width of zeros. See bulge.hpp.
    void (*chase)(T* band, std::int64_t n, std::int64_t first, std::int64_t from, std::int64_t to, T* state);

    /// `lanes` matrices of order n to diagonal form by rotations, element by element with a lane to each, and their
    /// eigenvectors as rows, in the order of the diagonal. Above the diagonal is read, and lost. False if that fails.
    bool (*rotate_to_diagonal)(T* elements, std::int64_t n, T* vectors);

    Extent<T> (*extent)(Symmetric<T> a, std::int64_t n);

    /// See rows.hpp.
    void (*scale_row)(double* row, const T* factor, double scale, std::int64_t n);
    void (*multiply_row)(double* row, const T* factor, double scale, std::int64_t n);
    void (*add_product_row)(T* out, const double* x, const double* y, double scale, std::int64_t n);
    void (*add_factor_row)(T* out, const double* x, const T* y, double scale, std::int64_t n);
    bool (*all_finite)(const T* x, std::int64_t n);
    T (*largest)(const T* x, std::int64_t n);
    double (*sum)(const T* x, std::int64_t n);
    double (*squares)(const T* x, std::int64_t n);
    void (*scale)(T* out, const T* x, T factor, std::int64_t n);
    void (*subtract)(T* row, const T* first, const T* second, std::int64_t n);
    void (*weigh_rows)(const T* g, const T* a, std::int64_t n, std::int64_t first, std::int64_t height, T* out);
    void (*pull_rows)(const T* x, std::int64_t ld, const T* w, std::int64_t n, std::int64_t first, std::int64_t height,
                      T* out);
    void (*pull_rows_by_sign)(const T* x, std::int64_t ld, const T* w, std::int64_t n, std::int64_t first,
                              std::int64_t height, T* out);

    /// sum p_i ln p_i and sum p_i (p_i^beta - 1) of n probabilities; zeros count nothing.
    double (*sum_p_log_p)(const double* p, std::int64_t n);
    double (*sum_power_excess)(const double* p, std::int64_t n, double beta);

    /// Adds to sums (height rounded up to 4, ld >= width + 3), for each of the first `height` of `width` samples, the
    /// sum over d contiguous features with each sample after it. What stands on and left of the diagonal is of no use.
    void (*add_block)(Core core, const T* rows, std::int64_t stride, std::int64_t height, std::int64_t width,
                      std::int64_t d, double scale, double* sums, std::int64_t ld);

    /// See panels.hpp. Adds up `n` samples; packs `lanes` of them, of which n >= 1 are there, less the centre, with the
    /// squares of their lengths.
    void (*add_rows)(const T* rows, std::int64_t stride, std::int64_t n, std::int64_t d, double* sums);
    void (*pack)(const T* rows, std::int64_t stride, std::int64_t n, std::int64_t d, const T* centre, T* panel,
                 double* squares);
    /// Adds to sums (height rounded up to 8 rows) the inner products, over features [from, to) of d, of the first
    /// `height` samples of `count` panels with all of them. What stands left of the diagonal is of no use.
    void (*add_products)(const T* panels, std::int64_t count, std::int64_t d, std::int64_t height, std::int64_t from,
                         std::int64_t to, double* sums, std::int64_t ld);
    /// row_j = own + squares_j - 2 row_j, n rounded up to 8 of them; -1, and false is returned, where that is below
    /// `least` of the sum of the squares, or the sum near the end of the range.
    bool (*distances_of_products)(double* row, const double* squares, double own, std::int64_t n, double least);
    /// From differences; over at most 512 features.
    double (*squared_distance)(const T* x, const T* y, std::int64_t d);
    /// out (width, stride) at (j, i) = sums (height, ld) at (i, j), for j >= height, a multiple of 8 if that is less
    /// than width; sums has room for 8 more after a row.
    void (*mirror)(const double* sums, std::int64_t ld, std::int64_t height, std::int64_t width, T* out,
                   std::int64_t stride);

    /// x_i = weight exp(exponent x_i), for exponent x_i <= 0.
    void (*exponentials)(double* x, std::int64_t n, double exponent, double weight);
};

}  // namespace fastrenyi::cpu
