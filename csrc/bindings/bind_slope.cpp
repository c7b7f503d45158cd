#include "bindings/arrays.hpp"
#include "bindings/released.hpp"
#include "ops/gram_slope.hpp"
#include "ops/joint_slope.hpp"
#include "ops/slope.hpp"

namespace fastrenyi::bindings {
namespace {

py::object reduce(const std::vector<py::array>& matrices, int threads) {
    if (matrices.empty()) throw std::invalid_argument("expected at least one batch of matrices");
    return with_dtype_of<double, float>(matrices.front(), [&](auto zero) -> py::object {
        using T = decltype(zero);
        std::vector<View<T>> views;
        index_t batch = 0;
        for (const py::array& a : matrices) {
            views.push_back(square_view<T>(a));
            if (!py::isinstance<py::array_t<T>>(a) || views.back().rows != views.front().rows)
                throw std::invalid_argument("expected matrices of one dtype and order");
            batch += views.back().batch;
        }
        const index_t n = views.front().rows;
        py::array_t<T> values({batch, n});
        py::array_t<T> reduced({batch, n + 3, n});
        T *first = values.mutable_data(), *second = reduced.mutable_data();
        {
            const Released released;
            cpu::reduce(views, first, second, threads);
        }
        return py::make_tuple(values, reduced);
    });
}

py::object slope(const py::array& reduced, const py::array_t<double, py::array::c_style>& grads,
                 const std::vector<double>& orders, double unit, int threads) {
    return with_dtype_of<double, float>(reduced, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> read = view<T>(reduced);
        const index_t batch = read.batch, n = read.cols, count = static_cast<index_t>(orders.size());
        const bool packed = read.col_stride == 1 && read.row_stride == n && read.batch_stride == (n + 3) * n;
        if (read.rows != n + 3 || (batch > 0 && !packed))  // strides of an empty array say nothing
            throw std::invalid_argument("expected what reduce gave: dense (b, n + 3, n)");
        if (grads.ndim() != 2 || grads.shape(0) != batch || grads.shape(1) != count)
            throw std::invalid_argument("expected one weight per matrix and order");
        for (const double order : orders)
            if (!(order >= 0.0 && order <= cpu::largest_slope_order))
                throw std::invalid_argument("expected orders whose slope is made of resolvents");
        py::array_t<T> out({batch, n, n});
        T* result = out.mutable_data();
        const double* weights = grads.data();
        {
            const Released released;
            cpu::slope(read.data, batch, n, weights, orders.data(), count, unit, result, threads);
        }
        return out;
    });
}

/// The memory of arrays that gradients are added to, dense (b, n, n); None where no gradient is wanted.
template <class T>
std::vector<T*> sums(const std::vector<py::object>& arrays, std::size_t count, index_t batch, index_t n) {
    if (arrays.size() != count) throw std::invalid_argument("expected an array or None per factor");
    std::vector<T*> memory;
    for (const py::object& one : arrays)
        memory.push_back(one.is_none() ? nullptr : const_cast<T*>(dense<T>(py::cast<py::array>(one), {batch, n, n})));
    return memory;
}

void joint_slope(const std::vector<py::array>& factors, const py::array& to_joint, const std::vector<py::object>& out,
                 int threads) {
    with_factors(factors, [&](const auto& views) -> py::object {
        using T = std::remove_const_t<std::remove_pointer_t<decltype(views.front().data)>>;
        const index_t batch = views.front().batch, n = views.front().rows;
        const T* gradient = dense<T>(to_joint, {batch, n, n});
        const std::vector<T*> results = sums<T>(out, factors.size(), batch, n);
        const Released released;
        cpu::joint_slope(views, gradient, results, threads);
        return {};
    });
}

void collision_slope(const std::vector<py::array>& grams, const Subsets& subsets, const py::array& purities,
                     const py::array& grads, double unit, const std::vector<py::object>& out, int threads) {
    check(subsets, grams.size());
    with_factors(grams, [&](const auto& views) -> py::object {
        using T = std::remove_const_t<std::remove_pointer_t<decltype(views.front().data)>>;
        const index_t batch = views.front().batch, n = views.front().rows;
        const index_t count = static_cast<index_t>(subsets.size()) * batch;
        const auto* kept = reinterpret_cast<const cpu::Purity*>(dense<double>(purities, {count, 2}));
        const double* weights = dense<double>(grads, {count});
        const std::vector<T*> results = sums<T>(out, grams.size(), batch, n);
        const Released released;
        cpu::collision_slope(views, subsets, kept, weights, unit, results, threads);
        return {};
    });
}

py::object gram_slope(const py::array& x, const std::string& kind, const py::array& width, const py::array& a,
                      const py::array& grad, int threads) {
    if (kind != "gaussian" && kind != "laplacian") throw std::invalid_argument("no slope of kernel " + kind);
    return with_dtype_of<double, float>(x, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> samples = view<T>(x);
        const index_t batch = samples.batch, n = samples.rows;
        const double* widths = dense<double>(width, {batch});
        const T *grams = dense<T>(a, {batch, n, n}), *gradient = dense<T>(grad, {batch, n, n});
        py::array_t<T> out({batch, n, samples.cols});
        T* result = out.mutable_data();
        {
            const Released released;
            cpu::gram_slope(samples, kind == "gaussian" ? Kernel::gaussian : Kernel::laplacian, widths, grams, gradient,
                            result, threads);
        }
        return out;
    });
}

}  // namespace

void bind_slope(py::module_& m) {
    m.def("reduce", &reduce, py::arg("matrices"), py::arg("threads"));
    m.def("joint_slope", &joint_slope, py::arg("factors"), py::arg("to_joint"), py::arg("out"), py::arg("threads"));
    m.def("collision_slope", &collision_slope, py::arg("grams"), py::arg("subsets"), py::arg("purities"),
          py::arg("grads"), py::arg("unit"), py::arg("out"), py::arg("threads"));
    m.def("gram_slope", &gram_slope, py::arg("x"), py::arg("kind"), py::arg("width"), py::arg("a"), py::arg("grad"),
          py::arg("threads"));
    m.def("slope", &slope, py::arg("reduced"), py::arg("grads"), py::arg("orders"), py::arg("unit"),
          py::arg("threads"));
}

}  // namespace fastrenyi::bindings
