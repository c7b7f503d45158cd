#include <optional>

#include "bindings/arrays.hpp"
#include "bindings/released.hpp"
#include "ops/pairs.hpp"

namespace fastrenyi::bindings {
namespace {

using Index = py::array_t<index_t, py::array::c_style | py::array::forcecast>;

py::object pairs(const py::array& maps, const std::optional<py::array>& target, const Index& index,
                 const std::vector<double>& orders, double epsilon, double unit, int threads) {
    if (index.ndim() != 2 || index.shape(1) != 2) throw std::invalid_argument("expected pairs of shape (p, 2)");
    return with_dtype_of<double, float>(maps, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> grams = square_view<T>(maps);
        View<T> with;
        if (target) {
            with = square_view<T>(*target);
            if (!py::isinstance<py::array_t<T>>(*target) || with.batch != 1 || with.rows != grams.rows)
                throw std::invalid_argument("expected one target of the maps' dtype and size");
        }
        const index_t count = index.shape(0);
        for (index_t k = 0; k < 2 * count; ++k)
            if (index.data()[k] < 0 || index.data()[k] >= grams.batch)
                throw std::invalid_argument("a pair names a map that does not exist");
        const auto order_count = static_cast<index_t>(orders.size());
        py::array_t<T> alone({count, order_count}), joint({target ? count : 0, order_count});
        T *first = alone.mutable_data(), *second = joint.mutable_data();
        const index_t* which = index.data();
        Verdict verdict;
        {
            const Released released;
            verdict = cpu::pairs(grams, target ? &with : nullptr, which, count, orders.data(), order_count, epsilon,
                                 unit, first, second, threads);
        }
        return py::make_tuple(alone, target ? py::object(joint) : py::none(), to_python(verdict));
    });
}

}  // namespace

void bind_pairs(py::module_& m) {
    m.def("pairs", &pairs, py::arg("maps"), py::arg("target"), py::arg("index"), py::arg("orders"), py::arg("epsilon"),
          py::arg("unit"), py::arg("threads"));
}

}  // namespace fastrenyi::bindings
