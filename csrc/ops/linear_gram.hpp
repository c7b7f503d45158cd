// Grams of the linear kernel: K / tr K, of samples that are centred and of length one, if they are to be.
//
//   x      (b, n, d), any strides
//   sizes  (b,), or null for all: of each set only so many samples, the first ones, 1 to n; the others are not read
//   out    (b, m, m), dense, symmetric, owned by the caller, every element written: products of the samples (m = n), of
//          the features (m = d), or for each set of whichever are fewer (m the smaller of n and d), and zeros behind
//          them; zero where nothing is left of the samples
//
// Sums run in double; products in the samples' dtype over 256 features or samples, then in double. The first sample, or
// feature, is taken away before the mean is, so that what is constant is zero without rounding; what rounding may leave
// of nothing is zero too. Samples are scaled by a power of two, so that no square leaves the range. False if a sample
// that counts is not finite.
#pragma once
#include "common/view.hpp"

namespace fastrenyi {

enum class Side { samples, features, smaller };

/// What is done to samples, and whose products are taken.
struct Linear {
    bool samples = false;   ///< take the mean over samples from each feature
    bool features = false;  ///< then the mean over features from each sample
    bool normalized = false;
    Side side = Side::samples;
};

namespace cpu {

/// Workspace: per thread m d + O(n + d) elements, of features at most 1,024 d. The same bits whatever the number of
/// threads.
template <class T>
bool linear_gram(const View<T>& x, const index_t* sizes, const Linear& how, T* out, int threads);

}  // namespace cpu
}  // namespace fastrenyi
