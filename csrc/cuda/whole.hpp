// All pairs of few samples by one block of threads: Grams of the sizes that minibatches have.
//
// Samples come in chunks of features through shared memory. A thread has four samples on either side, a fourth of all
// samples apart, so that neighbouring threads read neighbours; of the mirrored pairs of fours, one is summed. A Rule
// says what is summed and what becomes of the sum:
//
//   Element                        what a feature is in shared memory; a chunk of them is summed in this type
//   State of_matrix(b)             what is known of matrix b
//   void summing(state, act)       calls act(between), where between(x, y) is what a feature adds
//   double diagonal()
//   double finish(state, sum, row, col)
#pragma once
#include <cmath>
#include <cstdlib>

#include "cuda/launch.hpp"
#include "cuda/real.hpp"

namespace fastrenyi::cuda {

constexpr int most_whole = 128;  // samples
constexpr int four = 4;
constexpr int whole_chunk = 32;  // features in shared memory at a time

/// How a matrix of n samples is shared out.
struct Fours {
    int count;  // of fours of samples

    explicit FASTRENYI_HD Fours(int n) : count((n + four - 1) / four) {}
    FASTRENYI_HD int pairs() const { return count * (count + 1) / 2; }
    int threads() const { return (pairs() + warp_size - 1) / warp_size * warp_size; }
};

/// `most_fours` is how many fours of samples it is compiled for.
template <class In, class Out, class Rule, int most_fours>
struct Whole {
    static constexpr int max_threads = (most_fours * (most_fours + 1) / 2 + warp_size - 1) / warp_size * warp_size;
    static constexpr int min_blocks = max_threads > 512 ? 1 : 2;
    static constexpr int pitch = four * most_fours + 1;  // from feature to feature, so that neither way shares a bank
    using Element = typename Rule::Element;

    View<In> x;
    Out* out;
    Rule rule;
    bool along_features;  // they are neighbours in device memory
    Status* status;       // or null: then nobody asks whether samples are finite

    static std::size_t shared_bytes(index_t n) {
        static_assert(Rule::table == 0, "there is no room for what a rule knows of samples");
        const std::size_t samples = sizeof(Element) * whole_chunk * pitch;
        const std::size_t results = sizeof(Out) * static_cast<std::size_t>(n * (n | 1));
        return samples > results ? samples : results;
    }

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const int n = static_cast<int>(x.rows);
        const Fours fours(n);
        const View<In> samples = x.matrix(block.index());
        const auto state = rule.of_matrix(block.index());
        const int pair = block.thread() < fours.pairs() ? block.thread() : 0;
        int row = static_cast<int>((std::sqrt(8.0f * static_cast<float>(pair) + 1.0f) - 1.0f) / 2.0f);
        row += (row + 1) * (row + 2) / 2 <= pair ? 1 : 0;
        row -= row * (row + 1) / 2 > pair ? 1 : 0;
        const int col = pair - row * (row + 1) / 2;

        Element* const memory = block.template shared<Element>();
        double sums[four][four] = {};
        bool wrong = false;
        for (int first = 0; first < static_cast<int>(x.cols); first += whole_chunk) {
            wrong |= stage(block, samples, fours, first, memory);
            block.sync();
            add(state, memory + row, memory + col, fours, sums);
            block.sync();
        }
        if (status && block.any(wrong) && block.thread() == 0)
            report(block, status, block.index(), Finding::not_finite);

        // A row of the matrix stands together in shared memory, from where it goes out in one piece.
        Out* const results = block.template shared<Out>();
        const int length = n | 1;
        if (block.thread() < fours.pairs()) {
            FASTRENYI_UNROLL
            for (int r = 0; r < four; ++r) {
                FASTRENYI_UNROLL
                for (int c = 0; c < four; ++c) {
                    const int i = row + r * fours.count, j = col + c * fours.count;
                    if (i >= n || j >= n) continue;
                    const Out value = static_cast<Out>(i == j ? rule.diagonal() : rule.finish(state, sums[r][c], i, j));
                    results[i * length + j] = value;
                    if (row != col) results[j * length + i] = value;
                }
            }
        }
        block.sync();
        Out* const matrix = out + block.index() * x.rows * x.rows;
        for (int i = block.warp(); i < n; i += block.threads() / warp_size)
            for (int j = block.lane(); j < n; j += warp_size) matrix[i * n + j] = results[i * length + j];
    }

  private:
    /// A chunk of features to shared memory, zeros where the matrix has ended; whether one of them is not finite.
    template <class Block>
    FASTRENYI_DEVICE bool stage(Block& block, const View<In>& samples, const Fours& fours, int first,
                                Element* memory) const {
        const int n = four * fours.count;
        bool wrong = false;
        const auto put = [&](int sample, int feature) {
            In value = 0;
            if (sample < samples.rows && first + feature < samples.cols) value = samples.at(sample, first + feature);
            wrong |= !(value - value == In(0));
            memory[feature * pitch + sample] = static_cast<Element>(value);
        };
        const int warps = block.threads() / warp_size;
        if (along_features)
            for (int sample = block.warp(); sample < n; sample += warps) put(sample, block.lane());
        else
            for (int feature = block.warp(); feature < whole_chunk; feature += warps)
                for (int sample = block.lane(); sample < n; sample += warp_size) put(sample, feature);
        return wrong;
    }

    FASTRENYI_DEVICE void add(const typename Rule::State& state, const Element* x, const Element* y, const Fours& fours,
                              double (&sums)[four][four]) const {
        Element some[four][four] = {};
        rule.summing(state, [&](auto between) {
            FASTRENYI_UNROLL_4
            for (int k = 0; k < whole_chunk; ++k) {
                Element own[four], other[four];
                FASTRENYI_UNROLL
                for (int r = 0; r < four; ++r) {
                    own[r] = x[k * pitch + r * fours.count];
                    other[r] = y[k * pitch + r * fours.count];
                }
                FASTRENYI_UNROLL
                for (int r = 0; r < four; ++r) {
                    FASTRENYI_UNROLL
                    for (int c = 0; c < four; ++c) some[r][c] += between(own[r], other[c]);
                }
            }
        });
        FASTRENYI_UNROLL
        for (int r = 0; r < four; ++r) {
            FASTRENYI_UNROLL
            for (int c = 0; c < four; ++c) sums[r][c] += static_cast<double>(some[r][c]);
        }
    }
};

/// Starts the kernel on all matrices of up to 4 most_fours samples.
template <int most_fours, class In, class Out, class Rule>
void launch_whole(const View<In>& x, Out* out, const Rule& rule, Status* status, Stream stream) {
    using Kernel = Whole<In, Out, Rule, most_fours>;
    const bool along_features = std::abs(x.col_stride) <= std::abs(x.row_stride);
    launch(Kernel{x, out, rule, along_features, status}, x.batch, Fours(static_cast<int>(x.rows)).threads(),
           Kernel::shared_bytes(x.rows), stream);
}

}  // namespace fastrenyi::cuda
