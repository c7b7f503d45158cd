#include "bindings/arrays.hpp"
#include "bindings/released.hpp"
#include "ops/tile_product.hpp"

namespace fastrenyi::bindings {
namespace {

template <class T>
using Dense = py::array_t<T, py::array::c_style>;
using Sums = py::array_t<double, py::array::c_style>;

/// Whether an array is (rows, columns).
bool is(const py::array& x, py::ssize_t rows, py::ssize_t columns) {
    return x.ndim() == 2 && x.shape(0) == rows && x.shape(1) == columns;
}

template <class T>
void tile_product(const Dense<T>& tile, const Dense<T>& x, const Dense<T>& y, Sums& to_rows,
                  const std::optional<Sums>& to_columns, int threads) {
    constexpr py::ssize_t most = std::numeric_limits<int>::max();  // of BLAS
    if (tile.ndim() != 2 || x.ndim() != 2) throw std::invalid_argument("expected a tile (m, k) and vectors (m, p)");
    const index_t m = tile.shape(0), k = tile.shape(1), p = x.shape(1);
    if (!is(x, m, p) || !is(y, k, p) || !is(to_rows, m, p) || (to_columns && !is(*to_columns, k, p)))
        throw std::invalid_argument("expected vectors and sums of the tile's rows and columns");
    if (m > most || k > most || p > most) throw std::invalid_argument("expected less than 2^31 of anything");
    if (m == 0 || k == 0 || p == 0) return;
    const T *entries = tile.data(), *of_rows = x.data(), *of_columns = y.data();
    double* const rows = to_rows.mutable_data();
    double* const columns = to_columns ? Sums(*to_columns).mutable_data() : nullptr;
    const Released released;
    cpu::tile_product(entries, m, k, of_rows, of_columns, p, rows, columns, threads);
}

template <class T>
void bind(py::module_& m) {
    // Nothing is converted: sums are added to where they stand.
    m.def("tile_product", &tile_product<T>, py::arg("tile").noconvert(), py::arg("x").noconvert(),
          py::arg("y").noconvert(), py::arg("to_rows").noconvert(), py::arg("to_columns").noconvert().none(true),
          py::arg("threads"));
}

}  // namespace

void bind_tile_product(py::module_& m) {
    bind<float>(m);
    bind<double>(m);
}

}  // namespace fastrenyi::bindings
