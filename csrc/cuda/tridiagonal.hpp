// Householder reduction of one symmetric matrix to tridiagonal form by a block of threads, in its shared memory.
//
// Rows and columns are counted so that the last is the last of a tile of 32: `pad` before the first do not exist. The
// reduction goes from the first to the last, so the tile that is not full is soon done with. Lane l of every warp has
// row l of each tile: of the vectors v, w, u and p of a step it holds these rows in registers, and every warp holds all
// of each vector. A warp has the columns j with j modulo warps its own number: only it writes them. The one thing that
// warps tell each other in a step is their part of p = a u, so a step has one barrier; what all of them need from it
// (norms, inner products) each of them sums for itself.
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
    static constexpr int partial = tiles <= 2 ? 1 : 2;  // tiles in which rows may not exist
    static constexpr int warps = tiles == 1 ? 1 : tiles == 2 ? 2 : tiles <= 4 ? 4 : 8;
    static constexpr int threads = warps * warp_size;
    static constexpr int columns = warps == 8 ? 4 : 8;                  // of a tile that a warp takes at once
    static constexpr int blocks = tiles == 2 ? 8 : tiles == 6 ? 2 : 0;  // without this, registers are spilled
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

/// Where the column of the last `length` rows starts in the packed lower triangle: short columns come first.
FASTRENYI_HD constexpr int start_of_column(int length) {
    return length * (length - 1) / 2;
}

/// What lies where in the shared memory of a block. `rows` is n with the pad.
template <class T>
struct TridiagonalWorkspace {
    int n, rows, warps;
    Two<T>* pending;  ///< (rows) v and w of a row; later the rows of the tridiagonal matrix, and last its eigenvalues
    T* u;             ///< (rows)
    T* parts;         ///< of p, (2, warps, rows): those of one step may still be read while the next one's are written
    T* d;             ///< (n) the diagonal
    T* e2;            ///< (n) the squared off-diagonal
    T* a;             ///< lower triangle, packed by columns

    template <class Block>
    FASTRENYI_DEVICE TridiagonalWorkspace(Block& block, int order, int tiles)
        : n(order), rows(tiles * warp_size), warps(block.threads() / warp_size) {
        T* memory = block.template shared<T>();
        pending = reinterpret_cast<Two<T>*>(memory);
        u = memory + 2 * rows;
        parts = u + rows;
        d = parts + 2 * warps * rows;
        e2 = d + n;
        a = e2 + n;
    }

    static std::size_t bytes(index_t n, int tiles, int warps) {
        return static_cast<std::size_t>(n * (n + 1) / 2 + 2 * n + (3 + 2 * warps) * tiles * warp_size) * sizeof(T);
    }
};

/// Writes element(i, j), i >= j, of all of the triangle, divided by a power of two where squares of elements might
/// leave the range, and returns it. A barrier.
template <class T, class Block, class F>
FASTRENYI_DEVICE T fill(Block& block, const TridiagonalWorkspace<T>& room, F element) {
    const int lane = block.thread() % warp_size, warp = block.thread() / warp_size;
    T largest = 0;
    for (int j = warp; j < room.n; j += room.warps) {
        const int column = start_of_column(room.n - j) - j;
        for (int i = j + lane; i < room.n; i += warp_size) {
            const T x = element(i, j);
            room.a[column + i] = x;
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

/// x[tile]; an index that is not a constant would put x into memory.
template <int r, int tiles, class T>
FASTRENYI_DEVICE T pick(const T (&x)[tiles], int tile, T otherwise) {
    if constexpr (r == tiles)
        return otherwise;
    else
        return pick<r + 1>(x, tile, tile == r ? x[r] : otherwise);
}

/// The element of row `row`, to all lanes.
template <int tiles, class T, class Block>
FASTRENYI_DEVICE T of_row(Block& block, const T (&x)[tiles], int row) {
    return block.from_lane(pick<1>(x, row / warp_size, x[0]), row % warp_size);
}

/// Sums of `count` numbers over the lanes: that of x[q] to the lanes from q (32 / count) on. Halves of the numbers go
/// to halves of the lanes, so that it costs little more than one sum. `mask` is for itself.
template <int count, int mask = warp_size / 2, class T, class Block>
FASTRENYI_DEVICE T sums_over_lanes(Block& block, const T (&x)[count]) {
    if constexpr (mask == 0) {
        return x[0];
    } else if constexpr (count == 1) {
        const T sum[1] = {x[0] + block.shuffle_xor(x[0], mask)};
        return sums_over_lanes<1, mask / 2>(block, sum);
    } else {
        const bool upper = block.thread() & mask;
        T sums[count / 2];
        FASTRENYI_UNROLL
        for (int q = 0; q < count / 2; ++q) {
            const T sent = upper ? x[q] : x[q + count / 2], kept = upper ? x[q + count / 2] : x[q];
            sums[q] = kept + block.shuffle_xor(sent, mask);
        }
        return sums_over_lanes<count / 2, mask / 2>(block, sums);
    }
}

/// The columns of tile b that are the warp's and beyond k: their pending update, and what they add to p = a u. The sums
/// over the rows go to part, those over the columns are added to p.
///
/// There are no branches, so that loads of several columns are under way at once: a column that is done is read like
/// others, counts for zero, as its u does, and is not stored; one of the pad reads the warp's first column; and what is
/// above the diagonal reads column k.
template <int tiles, int b, class T, class Block>
FASTRENYI_DEVICE void update_and_multiply_tile(Block& block, const TridiagonalWorkspace<T>& room, int k,
                                               const T (&v)[tiles], const T (&w)[tiles], const T (&u)[tiles],
                                               T (&p)[tiles], T* part) {
    constexpr int warps = Shares<tiles>::warps, columns = Shares<tiles>::columns, lanes_each = warp_size / columns;
    constexpr int rows = tiles * warp_size;
    const int lane = block.thread() % warp_size, warp = block.thread() / warp_size;
    const int finished = start_of_column(rows - k);  // of column k, which nobody writes any more
    for (int first = b * warp_size + warp; first < (b + 1) * warp_size; first += columns * warps) {
        if (first + (columns - 1) * warps <= k) continue;
        const int length = rows - first, start = start_of_column(length) - first;
        T sums[columns];
        FASTRENYI_UNROLL
        for (int q = 0; q < columns; ++q) {
            const int j = first + q * warps;
            int shift = q * warps;
            if (b < Shares<tiles>::partial) {
                const int pad = rows - room.n, real = pad + (rows - pad + warp) % warps;
                shift = j < real ? real - first : shift;
            }
            const int column = start - shift * length + shift * (shift - 1) / 2;  // element (i, j) is a[column + i]
            const Two<T> pending = room.pending[j];
            const T u_column = room.u[j];
            sums[q] = 0;
            FASTRENYI_UNROLL
            for (int r = b; r < tiles; ++r) {
                const int i = r * warp_size + lane;
                const bool diagonal = r == b;
                T x = room.a[diagonal && i < first + shift ? finished : column + i];
                x -= v[r] * pending.second;
                x -= w[r] * pending.first;
                if (j > k && !(diagonal && i < j)) room.a[column + i] = x;
                p[r] += x * (diagonal && i < j ? T(0) : u_column);
                sums[q] += x * (diagonal && i <= j ? T(0) : u[r]);
            }
        }
        const T sum = sums_over_lanes(block, sums);
        const int j = first + lane / lanes_each * warps;
        if (lane % lanes_each == 0 && j > k) part[j] = sum;
    }
}

/// All tiles from b on. Recursive, so that every index of an array of registers is a constant.
template <int tiles, int b, class T, class Block>
FASTRENYI_DEVICE void update_and_multiply_from(Block& block, const TridiagonalWorkspace<T>& room, int k,
                                               const T (&v)[tiles], const T (&w)[tiles], const T (&u)[tiles],
                                               T (&p)[tiles], T* part) {
    if constexpr (b < tiles) {
        if (k + 1 < (b + 1) * warp_size) update_and_multiply_tile<tiles, b>(block, room, k, v, w, u, p, part);
        update_and_multiply_from<tiles, b + 1>(block, room, k, v, w, u, p, part);
    }
}

/// The warp's part of p = a u, to part[k + 1, rows), after the pending update of its columns.
template <int tiles, class T, class Block>
FASTRENYI_DEVICE void update_and_multiply(Block& block, const TridiagonalWorkspace<T>& room, int k, const T (&v)[tiles],
                                          const T (&w)[tiles], const T (&u)[tiles], T* part) {
    constexpr int warps = Shares<tiles>::warps;
    const int lane = block.thread() % warp_size, warp = block.thread() / warp_size;
    T p[tiles] = {};
    update_and_multiply_from<tiles, 0>(block, room, k, v, w, u, p, part);
    block.sync_warp();
    FASTRENYI_UNROLL
    for (int r = 0; r < tiles; ++r) {
        const int i = r * warp_size + lane;
        if (i > k) part[i] = lane % warps == warp ? part[i] + p[r] : p[r];
    }
}

/// Overwrites room.a; writes room.d (n) and room.e2 (n - 1). Reflections are H = I - u u' with |u|^2 = 2; then
/// H a H = a - u w' - w u' with p = a u, w = p - (p'u / 2) u. Ends with a barrier.
template <int tiles, class T, class Block>
FASTRENYI_DEVICE void tridiagonalise(Block& block, const TridiagonalWorkspace<T>& room) {
    constexpr int warps = Shares<tiles>::warps, rows = tiles * warp_size;
    const int pad = rows - room.n, lane = block.thread() % warp_size, warp = block.thread() / warp_size;
    const bool own = lane % warps == warp;  // rows that are the numbers of the warp's columns
    T v[tiles] = {}, w[tiles] = {};
    for (int i = lane; own && i < rows; i += warp_size) {
        room.pending[i] = {T(0), T(0)};
        room.u[i] = 0;
    }
    for (int k = pad; k < rows; ++k) {
        const int column = start_of_column(rows - k) - k;
        const T v_k = of_row(block, v, k), w_k = of_row(block, w, k);
        T u[tiles], squares = 0;
        FASTRENYI_UNROLL
        for (int r = 0; r < tiles; ++r) {
            const int i = r * warp_size + lane;
            T x = room.a[column + (i < k ? k : i)];
            x -= v[r] * w_k;
            x -= w[r] * v_k;
            if (i == k && warp == 0) room.d[k - pad] = x;
            u[r] = i > k ? x : T(0);
            squares += u[r] * u[r];
        }
        if (k == rows - 1) break;
        squares = block.warp_sum(squares);
        if (block.thread() == 0) room.e2[k - pad] = squares;
        if (k == rows - 2) continue;  // nothing left to eliminate: the last element waits for the pending update

        const T head = of_row(block, u, k + 1), norm = std::sqrt(squares), beta = head < T(0) ? norm : -norm;
        const T half = beta * (beta - head);  // |x - beta e_1|^2 / 2
        const T scale = half > Real<T>::smallest ? inverse_root(half) : T(0);
        FASTRENYI_UNROLL
        for (int r = 0; r < tiles; ++r) {
            const int i = r * warp_size + lane;
            u[r] = (i == k + 1 ? head - beta : u[r]) * scale;
            if (own && i >= k) {  // row k: its u is zero from now on
                room.pending[i] = {v[r], w[r]};
                room.u[i] = u[r];
            }
        }
        block.sync_warp();
        T* const parts = room.parts + k % 2 * warps * rows;
        update_and_multiply(block, room, k, v, w, u, parts + warp * rows);
        block.sync();
        T product = 0, squared = 0;
        FASTRENYI_UNROLL
        for (int r = 0; r < tiles; ++r) {
            const int i = r * warp_size + lane;
            T sum = 0;
            FASTRENYI_UNROLL
            for (int s = 0; s < warps; ++s) sum += parts[s * rows + i];
            w[r] = i > k ? sum : T(0);
            product += w[r] * u[r];
            squared += u[r] * u[r];
        }
        // |u|^2 is 2 only to rounding, which is as much as all else of a step loses: 2 / |u|^2, to first order.
        const T tau = T(2) - block.warp_sum(squared) / 2;
        product = tau * block.warp_sum(product) / 2;
        FASTRENYI_UNROLL
        for (int r = 0; r < tiles; ++r) {
            w[r] = tau * (w[r] - product * u[r]);
            v[r] = u[r];
        }
    }
    block.sync();
}

}  // namespace fastrenyi::cuda
