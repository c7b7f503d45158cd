// Eigenvalues of a symmetric tridiagonal matrix by Sturm counts, a thread to an eigenvalue.
//
// A thread knows two points with its eigenvalue between them. Those that share their interval with others divide it
// between them, a point each, and look up where their own lies; one that is alone approaches it by the secant method of
// Anderson and Bjorck on the characteristic polynomial, whose value comes with the count. Either way the count alone
// says on which side of a point the eigenvalue lies, so that a bad guess costs time and no digits.
#pragma once
#include "cuda/real.hpp"

namespace fastrenyi::cuda {

/// A row of the tridiagonal matrix: its diagonal element, and the square of the off-diagonal one before it.
template <class T>
struct Row {
    T d, e2;
};

/// A point x, the characteristic polynomial there (size 2^exponent, without the sign; below zero: not known), and how
/// many eigenvalues are below x.
template <class T>
struct Point {
    T x, size;
    int exponent, below;
};

/// Half the distance at which two points are one; next to rows whose eigenvalues lie between -1/2 and 1/2.
template <class T>
constexpr T resolution = Real<T>::epsilon / 4;

/// The leading minors p of (matrix - x), without divisions; each change of sign is an eigenvalue below x. A minor that
/// is zero counts one change on either side of it, whichever sign it has, since no e2 is zero.
template <class T>
FASTRENYI_DEVICE Point<T> sturm(const Row<T>* rows, int n, T x) {
    constexpr int steps = sizeof(T) == 8 ? 8 : 2;  // the minors cannot leave the range sooner
    T before = 0, p = 1;
    int exponent = 0, below = 0;
    unsigned signs = 0;  // of the last minors, the latest in the lowest bit
    const auto step = [&](int i) {
        const Row<T> row = rows[i];
        const T next = (row.d - x) * p - row.e2 * before;
        signs = with_sign(signs, next);
        before = p;
        p = next;
    };
    const auto count = [&](int last) { below += count_of_bits((signs ^ signs >> 1) & ((1u << last) - 1u)); };
    int i = 0;
    for (; i + steps <= n; i += steps) {
        FASTRENYI_UNROLL
        for (int s = 0; s < steps; ++s) step(i + s);
        count(steps);
        const T larger = magnitude(p) > magnitude(before) ? magnitude(p) : magnitude(before);
        const int shift = exponent_of(larger);
        const T scale = power_of_two<T>(-shift);
        p *= scale;
        before *= scale;
        exponent += shift;
    }
    for (; i < n; ++i) {
        step(i);
        count(1);
    }
    const int shift = exponent_of(p);
    return {x, magnitude(p) * power_of_two<T>(-shift), exponent + shift, below};
}

/// a / b of two sizes.
template <class T>
FASTRENYI_DEVICE T quotient(const Point<T>& a, const Point<T>& b) {
    const int shift = a.exponent - b.exponent;
    return a.size / b.size * power_of_two<T>(shift > 100 ? 100 : shift < -100 ? -100 : shift);
}

/// Where one eigenvalue lies: its index is at least low.below and less than high.below.
template <class T>
struct Interval {
    Point<T> low, high;
    int last = 0;  // the side that the last point replaced
    int slow = 0;  // points in a row that have not halved the interval

    FASTRENYI_DEVICE bool open() const { return high.x - low.x > 2 * resolution<T>; }
    FASTRENYI_DEVICE bool alone() const { return high.below - low.below == 1; }

    /// The next point to look at, between low and high, for eigenvalue j.
    FASTRENYI_DEVICE T guess(int j) const {
        const T width = high.x - low.x;
        T x;
        if (!alone())
            x = low.x + width * (static_cast<T>(j - low.below + 1) / static_cast<T>(high.below - low.below + 1));
        else if (low.size < T(0) || high.size < T(0) || slow >= 3)
            x = low.x + width / 2;
        else
            x = low.x + width / (T(1) + quotient(high, low));
        if (!(x >= low.x + resolution<T>)) x = low.x + resolution<T>;  // NaN fails the comparison
        if (!(x <= high.x - resolution<T>)) x = high.x - resolution<T>;
        return x;
    }

    /// Narrows the interval of eigenvalue j by a point in it, which it shares with no other.
    FASTRENYI_DEVICE void approach(const Point<T>& point, int j) {
        const T half = (high.x - low.x) / 2;
        if (point.below <= j)
            replace(low, high, point, -1);
        else
            replace(high, low, point, 1);
        slow = slow < 3 && high.x - low.x > half ? slow + 1 : 0;
    }

    FASTRENYI_DEVICE void replace(Point<T>& end, Point<T>& other, const Point<T>& point, int side) {
        if (last == side) {  // twice on one side: the other end counts for less
            const T factor = T(1) - quotient(point, end);
            other.size *= end.size > T(0) && factor > T(0) ? factor : T(0.5);
        }
        end = {point.x, point.size, point.exponent, end.below};
        last = side;
    }

    /// Finds its place among the points of those that shared the interval.
    FASTRENYI_DEVICE void look_up(const Point<T>* points, int j) {
        for (int first = low.below, end = high.below; first < end;) {
            const int middle = (first + end) / 2;
            const Point<T> point = points[middle];
            const bool inside = point.x > low.x && point.x < high.x;  // rounding may have disordered them
            if (point.below <= j) {
                if (inside) low = point;
                first = middle + 1;
            } else {
                if (inside) high = point;
                end = middle;
            }
        }
        slow = last = 0;
    }
};

/// Eigenvalue block.thread() of the rows, whose Gershgorin discs lie within [low, high], to each thread below n.
/// `points` has room for n. To be called by all threads after a barrier; ends with one.
template <class T, class Block>
FASTRENYI_DEVICE T bisect(Block& block, const Row<T>* rows, Point<T>* points, int n, T low, T high) {
    constexpr int most_rounds = 400;  // never reached: an interval is at least halved in four rounds
    const int j = block.thread();
    Interval<T> interval{{low, T(-1), 0, 0}, {high, T(-1), 0, n}};
    int round = 0;
    // In step as long as an interval is shared; after that nobody needs to wait for anybody.
    for (; round < most_rounds; ++round) {
        const bool open = j < n && interval.open();
        if (!block.any(open && !interval.alone())) break;
        Point<T> point{};
        if (open) points[j] = point = sturm(rows, n, interval.guess(j));
        block.sync();
        if (open && interval.alone())
            interval.approach(point, j);
        else if (open)
            interval.look_up(points, j);
    }
    for (; round < most_rounds && j < n && interval.open(); ++round)
        interval.approach(sturm(rows, n, interval.guess(j)), j);
    block.sync();
    return interval.low.x + (interval.high.x - interval.low.x) / 2;
}

}  // namespace fastrenyi::cuda
