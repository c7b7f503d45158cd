// The door of the C interface: what comes in is checked, no exception goes out.
#pragma once
#include <string>
#include <type_traits>
#include <vector>

#include "c/fastrenyi.h"
#include "common/error.hpp"
#include "common/view.hpp"
#include "ops/inspect.hpp"

namespace fastrenyi::c {

/// Ends a call: a status, the words of the message, and the place.
struct Refusal {
    fr_status status;
    std::string message;
    index_t index;
};

/// Throws "name: expected ..., got ...".
[[noreturn]] void refuse(const std::string& name, const std::string& expected, const std::string& got,
                         fr_status status = FR_INVALID_ARGUMENT, index_t index = -1);

/// Whatever is being handled, as the status and message of this thread.
int failed() noexcept;

/// Runs the body of a function of the interface.
template <class F>
int guarded(F body) noexcept {
    try {
        body();
        return FR_OK;
    } catch (...) {
        return failed();
    }
}

std::string told(double value);

/// The settings that every function has.
void accept(std::uint32_t flags, int threads);

/// How many of something, `least` or more; and that their product could be in memory.
void accept_count(index_t count, index_t least, const std::string& name);
void accept_size(double elements, const std::string& name);

template <class T>
void accept_pointer(const T* pointer, const std::string& name, bool empty = false) {
    if (empty) return;
    if (!pointer) refuse(name, "an address", "NULL");
    if (reinterpret_cast<std::uintptr_t>(pointer) % alignof(T) != 0)
        refuse(name, "an address that is a multiple of " + std::to_string(alignof(T)), "another one");
}

template <class Given>
using Element = std::remove_const_t<std::remove_pointer_t<decltype(Given::data)>>;

template <class Given>
View<Element<Given>> accept_view(const Given* given, const std::string& name) {
    if (!given) refuse(name, "a view", "NULL");
    accept_count(given->batch, 0, name + ".batch");
    accept_count(given->rows, 1, name + ".rows");
    accept_count(given->cols, 1, name + ".cols");
    accept_size(1.0 * given->batch * given->rows * given->cols, name);
    accept_size(1.0 * given->batch * given->rows * given->rows, name);
    accept_pointer(given->data, name + ".data", given->batch == 0);
    return {given->data,         given->batch,      given->rows,      given->cols,
            given->batch_stride, given->row_stride, given->col_stride};
}

template <class T>
void accept_finite(const View<T>& x, const std::string& name, std::uint32_t flags, int threads) {
    if (flags & FR_UNCHECKED) return;
    const index_t at = cpu::first_not_finite(x, threads);
    if (at < 0) return;
    const index_t row = at / x.cols;
    refuse(name, "finite numbers", told(x.matrix(row / x.rows).at(row % x.rows, at % x.cols)), FR_NOT_FINITE, at);
}

/// Square, and of numbers that are finite and symmetric.
template <class Given>
View<Element<Given>> accept_symmetric(const Given* given, const std::string& name, std::uint32_t flags, int threads) {
    using T = Element<Given>;
    const View<T> a = accept_view(given, name);
    if (a.rows != a.cols)
        refuse(name, "square matrices", std::to_string(a.rows) + " rows and " + std::to_string(a.cols) + " columns");
    if (flags & FR_UNCHECKED) return a;
    constexpr double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-8;  // as in Python, _matrices.TRACE_TOLERANCE
    const Fault fault = cpu::gram_fault(a, tolerance, false, threads);
    if (fault.kind == Fault::Kind::not_finite)
        refuse(name, "finite numbers", told(fault.value), FR_NOT_FINITE, fault.index);
    if (fault.kind == Fault::Kind::asymmetric)
        refuse(name, "symmetric matrices", told(fault.value) + " and another number mirrored", FR_NOT_SYMMETRIC,
               fault.index);
    return a;
}

/// One or more, of one shape.
template <class Given>
std::vector<View<Element<Given>>> accept_factors(const Given* factors, index_t count, std::uint32_t flags,
                                                 int threads) {
    accept_count(count, 1, "count");
    accept_pointer(factors, "factors");
    std::vector<View<Element<Given>>> views;
    for (index_t k = 0; k < count; ++k) {
        const std::string name = "factors[" + std::to_string(k) + "]";
        views.push_back(accept_symmetric(factors + k, name, flags, threads));
        if (views[k].batch != views[0].batch || views[k].rows != views[0].rows)
            refuse(name, "the shape of factors[0]", "another one");
    }
    return views;
}

/// Orders, of each of so many spectra, and an epsilon of which 0 is that of the elements.
void accept_orders(const double* orders, index_t count, index_t spectra);
double accept_epsilon(double epsilon, double of_elements);

/// Refuses what is not fine.
void judge(const Verdict& verdict, const std::string& name);

}  // namespace fastrenyi::c
