#include <algorithm>
#include <optional>

#include "bindings/arrays.hpp"
#include "bindings/names.hpp"
#include "bindings/released.hpp"
#include "ops/linear_gram.hpp"

namespace fastrenyi::bindings {
namespace {

using Sizes = py::array_t<index_t, py::array::c_style>;

py::object linear_gram(const py::array& x, const std::optional<Sizes>& sizes, bool samples, bool features,
                       bool normalized, const std::string& side, int threads) {
    constexpr index_t most = std::numeric_limits<int>::max();  // of BLAS
    const Linear how{samples, features, normalized, side_named(side)};
    return with_dtype_of<double, float>(x, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> all = view<T>(x);
        if (all.rows < 1 || all.cols < 1 || all.rows > most || all.cols > most)
            throw std::invalid_argument("expected at least one sample and one feature, and less than 2^31");
        const index_t* counts = nullptr;
        if (sizes) {
            if (sizes->ndim() != 1 || sizes->shape(0) != all.batch)
                throw std::invalid_argument("expected one size for each set");
            counts = sizes->data();
            if (!std::all_of(counts, counts + all.batch, [&](index_t k) { return 1 <= k && k <= all.rows; }))
                throw std::invalid_argument("expected sizes of 1 to the number of samples");
        }
        const index_t order = how.side == Side::samples    ? all.rows
                              : how.side == Side::features ? all.cols
                                                           : std::min(all.rows, all.cols);
        py::array_t<T> out({all.batch, order, order});
        T* result = out.mutable_data();
        {
            const Released released;
            if (cpu::linear_gram(all, counts, how, result, threads)) return out;
        }
        return py::none();
    });
}

}  // namespace

void bind_linear_gram(py::module_& m) {
    m.def("linear_gram", &linear_gram, py::arg("x"), py::arg("sizes").noconvert().none(true), py::arg("samples"),
          py::arg("features"), py::arg("normalized"), py::arg("side"), py::arg("threads"));
}

}  // namespace fastrenyi::bindings
