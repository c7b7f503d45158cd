// Householder reduction of one symmetric matrix to tridiagonal form by a block of threads, in its shared memory.
//
// Rows are cut into tiles of 32. Lane l of every warp has the rows l, l + 32, ...: of the vectors v, w, u and p of a
// step it holds these rows in registers, and every warp holds all of each vector. A warp has the columns j with j
// modulo warps its own number: only it writes them. The one thing that warps tell each other in a step is their part of
// p = a u, so a step has one barrier; what all of them need from it (norms, inner products) each of them sums for
// itself.
//
// The update of step k, a -= v w' + w v', waits for step k + 1, where it is made in the same trip through the matrix as
// the product with that step's u: an element is read and written once a step.
#pragma once
#include "cuda/real.hpp"

namespace fastrenyi::cuda {

/// How a matrix of up to 32 `tiles` rows is shared out.
template <int tiles>
struct Shares {
    static constexpr int row_tiles = tiles;
    static constexpr int warps = tiles == 1 ? 1 : tiles == 2 ? 2 : tiles <= 4 ? 4 : 8;
    static constexpr int threads = warps * warp_size;
    static constexpr int columns = warps == 8 ? 4 : 8;  // of a tile that a warp takes at once
};

/// Calls f(Shares<tiles>) with the smallest that fits.
constexpr index_t most_rows = 256;
template <class F>
void with_shares(index_t n, F f) {
    if (n <= 32)
        f(Shares<1>{});
    else if (n <= 64)
        f(Shares<2>{});
    else if (n <= 128)
        f(Shares<4>{});
    else if (n <= 192)
        f(Shares<6>{});
    else
        f(Shares<8>{});
}

template <class T>
struct Two {
    T first, second;
};

/// What lies where in the shared memory of a block.
template <class T>
struct Room {
    int n, warps;
    Two<T>* pending;  ///< v and w of a row; later the rows of the tridiagonal matrix, and last its eigenvalues
    T* u;
    T* parts;  ///< of p, (2, warps, n): those of one step may still be read while the next one's are written
    T* d;      ///< the diagonal
    T* e2;     ///< the squared off-diagonal
    T* a;      ///< lower triangle, packed by columns

    template <class Block>
    FASTRENYI_DEVICE Room(Block& block, int order) : n(order), warps(block.threads() / warp_size) {
        T* memory = block.template shared<T>();
        pending = reinterpret_cast<Two<T>*>(memory);
        u = memory + 2 * n;
        parts = u + n;
        d = parts + 2 * warps * n;
        e2 = d + n;
        a = e2 + n;
    }

    static std::size_t bytes(index_t n, int warps) {
        return static_cast<std::size_t>(n * (n + 1) / 2 + (5 + 2 * warps) * n) * sizeof(T);
    }

    /// Element (i, j), i >= j, is column(j)[i].
    FASTRENYI_DEVICE T* column(int j) const { return a + (j * n - j * (j + 1) / 2); }
};

/// Writes element(i, j), i >= j, of all of the triangle, divided by a power of two where squares of elements might
/// leave the range, and returns it. A barrier.
template <class T, class Block, class F>
FASTRENYI_DEVICE T fill(Block& block, const Room<T>& room, F element) {
    const int lane = block.thread() % warp_size, warp = block.thread() / warp_size;
    T largest = 0;
    for (int j = warp; j < room.n; j += room.warps) {
        T* const column = room.column(j);
        for (int i = j + lane; i < room.n; i += warp_size) {
            const T x = element(i, j);
            column[i] = x;
            largest = magnitude(x) > largest ? magnitude(x) : largest;
        }
    }
    largest = block.largest(largest);
    if (largest == T(0) || (largest >= Real<T>::low && largest <= Real<T>::high)) return T(1);
    constexpr int limit = Real<T>::bias - 2;
    const int exponent = exponent_of(largest);
    const int within = exponent > limit ? limit : exponent < -limit ? -limit : exponent;
    const T inverse = power_of_two<T>(-within);
    for (int k = block.thread(); k < room.n * (room.n + 1) / 2; k += block.threads()) room.a[k] *= inverse;
    block.sync();
    return power_of_two<T>(within);
}

/// The element of row `row`, to all lanes.
template <int tiles, class T, class Block>
FASTRENYI_DEVICE T of_row(Block& block, const T (&x)[tiles], int row) {
    T mine = x[0];
    FASTRENYI_UNROLL
    for (int r = 1; r < tiles; ++r) mine = row / warp_size == r ? x[r] : mine;
    return block.from_lane(mine, row % warp_size);
}

/// Sums of `count` numbers over the lanes: that of x[q] to the lanes from q (32 / count) on. Halves of the numbers go
/// to halves of the lanes, so that it costs little more than one sum.
template <int count, class T, class Block>
FASTRENYI_DEVICE T sums_over_lanes(Block& block, T (&x)[count]) {
    const int lane = block.thread() % warp_size;
    int mask = warp_size / 2;
    FASTRENYI_UNROLL
    for (int half = count / 2; half > 0; half /= 2, mask /= 2) {
        const bool upper = lane & mask;
        FASTRENYI_UNROLL
        for (int q = 0; q < half; ++q) {
            const T sent = upper ? x[q] : x[q + half], kept = upper ? x[q + half] : x[q];
            x[q] = kept + block.shuffle_xor(sent, mask);
        }
    }
    FASTRENYI_UNROLL
    for (; mask > 0; mask /= 2) x[0] += block.shuffle_xor(x[0], mask);
    return x[0];
}

/// The warp's part of p = a u, to part[k + 1, n), after the pending update of its columns.
template <int tiles, class T, class Block>
FASTRENYI_DEVICE void update_and_multiply(Block& block, const Room<T>& room, int k, const T (&v)[tiles],
                                          const T (&w)[tiles], const T (&u)[tiles], T* part) {
    constexpr int warps = Shares<tiles>::warps, columns = Shares<tiles>::columns, lanes_each = warp_size / columns;
    const int n = room.n, lane = block.thread() % warp_size, warp = block.thread() / warp_size;
    T p[tiles] = {};
    FASTRENYI_UNROLL
    for (int b = 0; b < tiles; ++b) {  // tiles of columns
        if ((b + 1) * warp_size <= k + 1 || b * warp_size >= n) continue;
        for (int first = b * warp_size + warp; first < (b + 1) * warp_size; first += columns * warps) {
            if (first + (columns - 1) * warps <= k || first >= n) continue;
            T sums[columns];
            FASTRENYI_UNROLL
            for (int q = 0; q < columns; ++q) {
                const int j = first + q * warps, readable = j < n ? j : first;
                const Two<T> pending = room.pending[readable];
                const T u_column = room.u[readable];
                T* const column = room.column(j);
                sums[q] = 0;
                FASTRENYI_UNROLL
                for (int r = b; r < tiles; ++r) {  // tiles of rows
                    const int i = r * warp_size + lane;
                    const bool inside = j > k && i < n && (r > b || i >= j);
                    T x = inside ? column[i] : T(0);
                    x -= v[r] * pending.second;
                    x -= w[r] * pending.first;
                    if (inside) {
                        column[i] = x;
                        p[r] += x * u_column;
                        if (r > b || i > j) sums[q] += x * u[r];
                    }
                }
            }
            const T sum = sums_over_lanes(block, sums);
            const int j = first + lane / lanes_each * warps;
            if (lane % lanes_each == 0 && j > k && j < n) part[j] = sum;
        }
    }
    block.sync_warp();
    FASTRENYI_UNROLL
    for (int r = 0; r < tiles; ++r) {
        const int i = r * warp_size + lane;
        if (i > k && i < n) part[i] = lane % warps == warp ? part[i] + p[r] : p[r];
    }
}

/// Overwrites room.a; writes room.d (n) and room.e2 (n - 1). Reflections are H = I - u u' with |u|^2 = 2; then
/// H a H = a - u w' - w u' with p = a u, w = p - (p'u / 2) u. Ends with a barrier.
template <int tiles, class T, class Block>
FASTRENYI_DEVICE void tridiagonalise(Block& block, const Room<T>& room) {
    constexpr int warps = Shares<tiles>::warps;
    const int n = room.n, lane = block.thread() % warp_size, warp = block.thread() / warp_size;
    T v[tiles] = {}, w[tiles] = {};
    for (int k = 0; k < n; ++k) {
        const T* const column = room.column(k);
        const T minus_v = -of_row(block, v, k), minus_w = -of_row(block, w, k);
        T u[tiles], squares = 0;
        FASTRENYI_UNROLL
        for (int r = 0; r < tiles; ++r) {
            const int i = r * warp_size + lane;
            u[r] = 0;
            if (i < k || i >= n) continue;
            T x = column[i];
            x += v[r] * minus_w;
            x += w[r] * minus_v;
            if (i > k) {
                u[r] = x;
                squares += x * x;
            } else if (warp == 0) {
                room.d[k] = x;
            }
        }
        if (k == n - 1) break;
        squares = block.warp_sum(squares);
        if (block.thread() == 0) room.e2[k] = squares;
        if (k == n - 2) continue;  // nothing left to eliminate: the last element waits for the pending update

        const T head = of_row(block, u, k + 1), norm = std::sqrt(squares), beta = head < T(0) ? norm : -norm;
        const T half = beta * (beta - head);  // |x - beta e_1|^2 / 2
        const T scale = half > Real<T>::smallest ? inverse_root(half) : T(0);
        FASTRENYI_UNROLL
        for (int r = 0; r < tiles; ++r) {
            const int i = r * warp_size + lane;
            u[r] = i == k + 1 ? (head - beta) * scale : u[r] * scale;
            if (i > k && i < n && lane % warps == warp) {  // the columns that this warp will ask for
                room.pending[i] = {v[r], w[r]};
                room.u[i] = u[r];
            }
        }
        block.sync_warp();
        T* const parts = room.parts + k % 2 * warps * n;
        update_and_multiply(block, room, k, v, w, u, parts + warp * n);
        block.sync();
        T product = 0;
        FASTRENYI_UNROLL
        for (int r = 0; r < tiles; ++r) {
            const int i = r * warp_size + lane;
            w[r] = 0;
            if (i > k && i < n) {
                FASTRENYI_UNROLL
                for (int s = 0; s < warps; ++s) w[r] += parts[s * n + i];
            }
            product += w[r] * u[r];
        }
        product = block.warp_sum(product) / 2;
        FASTRENYI_UNROLL
        for (int r = 0; r < tiles; ++r) {
            w[r] -= product * u[r];
            v[r] = u[r];
        }
    }
    block.sync();
}

}  // namespace fastrenyi::cuda
