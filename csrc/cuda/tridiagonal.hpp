// Householder reduction of one symmetric matrix to tridiagonal form by a block of threads, in its registers.
//
// Rows and columns are counted so that the last is the last of a tile of 32: `pad` before the first do not exist. The
// reduction goes from the first to the last, so the tile that is not full is soon done with. A warp has the columns j
// with j modulo warps its own number; of their lower triangle, in tiles, its lane l holds row l of each tile for the
// whole of the reduction. Of the vectors of a step, u, v, w and p = a u, each thread of the block makes the element of
// one row.
//
// The update of step k, a -= v w' + w v', waits for step k + 1, where it is made in the same trip through the matrix as
// the product with that step's u.
#pragma once
#include "cuda/real.hpp"

namespace fastrenyi::cuda {

/// How a matrix of up to 32 `row_tiles` rows is shared out; of the first tile's columns a warp has `first_columns`.
template <int row_tiles, int first_columns, int resident>
struct Shares {
    static constexpr int tiles = row_tiles, rows = tiles * warp_size;
    static constexpr int warps = tiles == 1 ? 1 : tiles == 2 ? 2 : tiles <= 4 ? 4 : 8;
    static constexpr int threads = warps * warp_size;
    static constexpr int columns = warp_size / warps;                       // of a tile that a warp has
    static constexpr int skipped = columns - first_columns;                 // of the first tile: they are never there
    static constexpr int together = first_columns < 4 ? first_columns : 4;  // columns between two branches
    static constexpr int blocks = resident;  // of a multiprocessor, which says how many registers; 0: as many as help
};

/// Calls f(Shares) with the smallest that fits, for n <= most_rows<T>: a larger one would not fit into registers.
template <class T>
constexpr index_t most_rows = sizeof(T) == 8 ? 192 : 256;
template <class T, class F>
void with_shares(index_t n, F f) {
    constexpr bool wide = sizeof(T) == 8;
    if (n <= 32)
        f(Shares<1, 32, 0>{});
    else if (n <= 64)
        f(Shares<2, 16, 0>{});
    else if (n <= 96)
        f(Shares<3, 8, wide ? 4 : 0>{});
    else if (n <= 104)
        f(Shares<4, 2, wide ? 4 : 5>{});
    else if (n <= 128)
        f(Shares<4, 8, wide ? 2 : 0>{});
    else if (n <= 192)
        f(Shares<6, 4, 0>{});
    else if constexpr (!wide)
        f(Shares<8, 4, 0>{});
}

template <class T>
struct Two {
    T first, second;
};

/// What lies where in the shared memory of a block. `rows` is n with the pad.
template <class T>
struct TridiagonalWorkspace {
    int n, rows;
    Two<T>* pending;  ///< (rows) v and w of a row; later the rows of the tridiagonal matrix, and last its eigenvalues
    T* u;             ///< (rows)
    T* next;          ///< (rows) the column that comes next
    T* below;         ///< (rows) of p, what the columns of all tiles but the last have below their tile
    T* parts;         ///< (warps, rows) of p, the rest
    T* sums;          ///< (2, warps + 1) what is summed over the block
    T* d;             ///< (n) the diagonal
    T* e2;            ///< (n) the squared off-diagonal

    template <class Block, class Share>
    FASTRENYI_DEVICE TridiagonalWorkspace(Block& block, int order, Share) : n(order), rows(Share::rows) {
        T* memory = block.template shared<T>();
        pending = reinterpret_cast<Two<T>*>(memory);
        u = memory + 2 * rows;
        next = u + rows;
        below = next + rows;
        parts = below + rows;
        sums = parts + Share::warps * rows;
        d = sums + 2 * (Share::warps + 1);
        e2 = d + n;
    }

    template <class Share>
    static constexpr std::size_t bytes(Share) {
        return static_cast<std::size_t>((7 + Share::warps) * Share::rows + 2 * (Share::warps + 1)) * sizeof(T);
    }
};

/// The lower triangle in a block's registers: of tile b's columns the rows of tiles b, b + 1 and so on. A tile on the
/// diagonal is whole. Every index is a constant once loops are unrolled: one that is not would put all into memory.
template <class T, class Share>
struct Columns {
    T x[Share::tiles][Share::columns][Share::tiles];

    /// Calls f(b, q, r) for all elements.
    template <class F>
    FASTRENYI_DEVICE void each(F f) {
        FASTRENYI_UNROLL
        for (int b = 0; b < Share::tiles; ++b) {
            FASTRENYI_UNROLL
            for (int q = b == 0 ? Share::skipped : 0; q < Share::columns; ++q) {
                FASTRENYI_UNROLL
                for (int r = b; r < Share::tiles; ++r) f(b, q, r);
            }
        }
    }
};

/// Makes a of element(i, j), i >= j, divided by a power of two where squares of elements might leave the range, and
/// returns that. A barrier.
template <class Share, class T, class Block, class F>
FASTRENYI_DEVICE T fill(Block& block, Columns<T, Share>& a, int n, F element) {
    const int lane = block.lane(), warp = block.warp(), pad = Share::rows - n;
    T largest = 0;
    a.each([&](int b, int q, int r) {
        const int i = r * warp_size + lane - pad, j = b * warp_size + q * Share::warps + warp - pad;
        const T x = i < 0 || j < 0 ? T(0) : i < j ? element(j, i) : element(i, j);
        a.x[b][q][r] = x;
        largest = magnitude(x) > largest ? magnitude(x) : largest;
    });
    largest = block.largest(largest);
    if (largest == T(0) || (largest >= Real<T>::low && largest <= Real<T>::high)) return T(1);
    constexpr int limit = Real<T>::bias - 2;
    const int exponent = exponent_of(largest);
    const int within = exponent > limit ? limit : exponent < -limit ? -limit : exponent;
    const T inverse = power_of_two<T>(-within);
    a.each([&](int b, int q, int r) { a.x[b][q][r] *= inverse; });
    return power_of_two<T>(within);
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

/// What a thread has of the vectors of a step, in the rows that it has of the matrix.
template <class T, int tiles>
struct RowVectors {
    T v[tiles], w[tiles], u[tiles], p[tiles];
};

/// Column `j` of tile b to room.next, by the warp that has it.
template <int b, class Share, class T, class Block>
FASTRENYI_DEVICE void publish(Block& block, const TridiagonalWorkspace<T>& room, const Columns<T, Share>& a, int j) {
    if (j % Share::warps != block.warp()) return;
    block.sync_warp();  // so that the compiler makes a branch of it, and no stores on condition that all warps go
                        // through
    FASTRENYI_UNROLL
    for (int q = b == 0 ? Share::skipped : 0; q < Share::columns; ++q)
        if (b * warp_size + q * Share::warps + block.warp() == j) {
            FASTRENYI_UNROLL
            for (int r = b; r < Share::tiles; ++r) room.next[r * warp_size + block.lane()] = a.x[b][q][r];
        }
}

/// The columns of tile b that are the warp's: their pending update, and what they add to p = a u. A group of columns
/// that are all done is skipped; one that is done beside others counts for zero, as its u does.
template <int b, class Share, class T, class Block>
FASTRENYI_DEVICE void update_and_multiply_tile(Block& block, const TridiagonalWorkspace<T>& room, Columns<T, Share>& a,
                                               int next, RowVectors<T, Share::tiles>& rows) {
    constexpr int tiles = Share::tiles, warps = Share::warps, columns = Share::columns, together = Share::together;
    const int lane = block.lane(), warp = block.warp();
    T sums[columns] = {};
    FASTRENYI_UNROLL
    for (int group = b == 0 ? Share::skipped : 0; group < columns; group += together) {
        const int first = b * warp_size + group * warps + warp;
        if (first + (together - 1) * warps < next) continue;
        FASTRENYI_UNROLL
        for (int q = group; q < group + together; ++q) {
            const int j = b * warp_size + q * warps + warp;
            const Two<T> pending = room.pending[j];
            const T u_column = room.u[j];
            FASTRENYI_UNROLL
            for (int r = b; r < tiles; ++r) {
                T x = a.x[b][q][r];
                x -= rows.v[r] * pending.second;
                x -= rows.w[r] * pending.first;
                a.x[b][q][r] = x;
                rows.p[r] += x * u_column;
                if (r > b) sums[q] += x * rows.u[r];
            }
        }
    }
    if constexpr (b < tiles - 1) {
        constexpr int lanes_each = warp_size / columns;
        const T sum = sums_over_lanes(block, sums);
        if (lane % lanes_each == 0) room.below[b * warp_size + lane / lanes_each * warps + warp] = sum;
    }
}

/// Tile b and those before it, as far as they have a column `next` or later; that column is published. Recursive, so
/// that every index of an array of registers is a constant.
template <int b, class Share, class T, class Block>
FASTRENYI_DEVICE void update_and_multiply(Block& block, const TridiagonalWorkspace<T>& room, Columns<T, Share>& a,
                                          int next, RowVectors<T, Share::tiles>& rows) {
    if constexpr (b >= 0) {
        const int i = b * warp_size + block.lane();
        const Two<T> pending = room.pending[i];
        rows.v[b] = pending.first;
        rows.w[b] = pending.second;
        rows.u[b] = room.u[i];
        rows.p[b] = 0;
        update_and_multiply_tile<b>(block, room, a, next, rows);
        if (next < b * warp_size)
            update_and_multiply<b - 1>(block, room, a, next, rows);
        else
            publish<b>(block, room, a, next);
        room.parts[block.warp() * Share::rows + i] = rows.p[b];
    }
}

/// Overwrites a; writes room.d (n) and room.e2 (n - 1). Reflections are H = I - tau u u' with tau = 2 / |u|^2; then
/// H a H = a - u w' - w u' with p = tau a u, w = p - (tau p'u / 2) u. Ends with a barrier.
template <class Share, class T, class Block>
FASTRENYI_DEVICE void tridiagonalise(Block& block, const TridiagonalWorkspace<T>& room, Columns<T, Share>& a) {
    constexpr int tiles = Share::tiles, warps = Share::warps, rows = Share::rows;
    const int pad = rows - room.n, i = block.thread(), lane = block.lane(), warp = block.warp();
    const bool exists = i < rows;
    // Over the block, a barrier in between; `place` says which memory is free.
    const auto put_sum = [&](int place, T x) {
        x = block.warp_sum(x);
        if (lane == 0) room.sums[place * (warps + 1) + warp] = x;
    };
    const auto sum = [&](int place) {
        T x = room.sums[place * (warps + 1)];
        FASTRENYI_UNROLL
        for (int s = 1; s < warps; ++s) x += room.sums[place * (warps + 1) + s];
        return x;
    };
    T* const next_of_p = room.sums + 2 * warps + 1;
    a.each([&](int b, int q, int r) {
        if (b * warp_size + q * warps + warp == pad) room.next[r * warp_size + lane] = a.x[b][q][r];
    });
    block.sync();
    T x = exists && i >= pad ? room.next[i] : T(0);  // of column k, which lacks the pending update
    T v = 0, w = 0, v_k = 0, w_k = 0;
    for (int k = pad;; ++k) {
        x -= v * w_k;
        x -= w * v_k;
        if (i == k) room.d[k - pad] = x;
        if (k == rows - 1) break;
        T u = i > k ? x : T(0);
        put_sum(0, i > k + 1 ? x * x : T(0));
        if (exists) {
            room.pending[i] = {v, w};
            room.u[i] = u;
        }
        block.sync();

        // The u of this trip is column k itself, as if all of it were to stay: u differs in element k + 1 alone.
        RowVectors<T, tiles> vectors;
        update_and_multiply<tiles - 1>(block, room, a, k + 1, vectors);
        const T rest = sum(0), head = room.u[k + 1], all = rest + head * head, norm = root(all);
        if (i == 0) room.e2[k - pad] = all;
        v_k = head < T(0) ? head - norm : head + norm;  // u is x - (norm, with the other sign) e_1
        // |u|^2 of u as it was rounded: all else of a step loses no more than an error here would. In the last step
        // there is nothing to eliminate, only the pending update to be made.
        const T length = rest + v_k * v_k;
        const T tau = length > Real<T>::nothing && k < rows - 2 ? T(2) * inverse(length) : T(0);
        block.sync();

        T p = 0;
        if (i > k && exists) {
            x = room.next[i];
            p = room.parts[i];
            FASTRENYI_UNROLL
            for (int s = 1; s < warps; ++s) p += room.parts[s * rows + i];
            if (i < rows - warp_size) p += room.below[i];
            p = tau * (p + x * (v_k - head));
        }
        if (i == k + 1) {
            u = v_k;
            *next_of_p = p;
        }
        put_sum(1, p * u);
        block.sync();
        const T factor = tau * sum(1) / 2;
        v = u;
        w = p - factor * u;
        w_k = *next_of_p - factor * v_k;
    }
    block.sync();
}

}  // namespace fastrenyi::cuda
