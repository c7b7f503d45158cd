#include "ops/pairs.hpp"

#include <limits>

#include "c/door.hpp"

namespace fastrenyi::c {
namespace {

template <class Given, class T>
int pairs(const Given* given, const Given* with, const index_t* pairs, index_t pair_count, const double* orders,
          index_t order_count, double epsilon, T* alone, T* joint, std::uint32_t flags, int threads) {
    return guarded([&] {
        accept(flags, threads);
        const View<T> maps = accept_symmetric(given, "maps", flags, threads);
        View<T> target;
        if (with) {
            target = accept_symmetric(with, "target", flags, threads);
            if (target.batch != 1 || target.rows != maps.rows)
                refuse("target", "one matrix of the order of the maps, " + std::to_string(maps.rows),
                       std::to_string(target.batch) + " of order " + std::to_string(target.rows));
        }
        accept_count(pair_count, 0, "pair_count");
        accept_pointer(pairs, "pairs", pair_count == 0);
        for (index_t k = 0; k < 2 * pair_count; ++k)
            if (pairs[k] < 0 || pairs[k] >= maps.batch)
                refuse("pairs", "maps from 0 to " + std::to_string(maps.batch - 1), std::to_string(pairs[k]),
                       FR_INVALID_ARGUMENT, k);
        accept_orders(orders, order_count, pair_count);
        epsilon = accept_epsilon(epsilon, std::numeric_limits<T>::epsilon());
        accept_pointer(alone, "alone", pair_count == 0);
        accept_pointer(joint, "joint", pair_count == 0 || !with);
        judge(cpu::pairs(maps, with ? &target : nullptr, pairs, pair_count, orders, order_count, epsilon, 1.0, alone,
                         joint, threads),
              "pairs");
    });
}

}  // namespace
}  // namespace fastrenyi::c

int fr_pairs_f32(const fr_view_f32* maps, const fr_view_f32* target, const int64_t* pairs, int64_t pair_count,
                 const double* orders, int64_t order_count, double epsilon, float* alone, float* joint, uint32_t flags,
                 int threads) {
    return fastrenyi::c::pairs(maps, target, pairs, pair_count, orders, order_count, epsilon, alone, joint, flags,
                               threads);
}

int fr_pairs_f64(const fr_view_f64* maps, const fr_view_f64* target, const int64_t* pairs, int64_t pair_count,
                 const double* orders, int64_t order_count, double epsilon, double* alone, double* joint,
                 uint32_t flags, int threads) {
    return fastrenyi::c::pairs(maps, target, pairs, pair_count, orders, order_count, epsilon, alone, joint, flags,
                               threads);
}
