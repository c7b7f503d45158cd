#include "c/door.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>

#include "common/parallel.hpp"
#include "cpu/lapack.hpp"

namespace fastrenyi::c {
namespace {

// Of a fixed size: to say that there is no memory takes none.
thread_local char message[512] = "";
thread_local index_t place = -1;

int kept(fr_status status, const char* words, index_t index = -1) {
    std::snprintf(message, sizeof message, "%s", words);
    place = index;
    return status;
}

}  // namespace

void refuse(const std::string& name, const std::string& expected, const std::string& got, fr_status status,
            index_t index) {
    const std::string where = index < 0 ? "" : " at index " + std::to_string(index);
    throw Refusal{status, name + ": expected " + expected + ", got " + got + where, index};
}

int failed() noexcept {
    try {
        throw;
    } catch (const Refusal& refusal) {
        return kept(refusal.status, refusal.message.c_str(), refusal.index);
    } catch (const cpu::NoLapack&) {
        return kept(FR_NO_LAPACK, "LAPACK is needed for what was asked: call fr_load_lapack first");
    } catch (const LapackError& error) {
        return kept(FR_NOT_CONVERGED, error.what());
    } catch (const std::bad_alloc&) {
        return kept(FR_OUT_OF_MEMORY, "there is no memory for the workspace");
    } catch (const std::exception& error) {
        return kept(FR_INTERNAL, error.what());
    } catch (...) {
        return kept(FR_INTERNAL, "an exception that is not known");
    }
}

std::string told(double value) {
    char words[32];
    std::snprintf(words, sizeof words, "%.6g", value);
    return words;
}

void accept(std::uint32_t flags, int threads) {
    if (flags & ~std::uint32_t(FR_UNCHECKED)) refuse("flags", "flags of fr_flags", std::to_string(flags));
    if (threads < 0) refuse("threads", "0 or more", std::to_string(threads));
}

void accept_count(index_t count, index_t least, const std::string& name) {
    if (count < least) refuse(name, std::to_string(least) + " or more", std::to_string(count));
}

void accept_size(double elements, const std::string& name) {
    if (elements > 0x1p48) refuse(name, "sizes that fit in memory", told(elements) + " elements");
}

void accept_orders(const double* orders, index_t count, index_t spectra) {
    accept_count(count, 1, "order_count");
    accept_size(1.0 * count * std::max<index_t>(spectra, 1), "order_count");
    accept_pointer(orders, "orders");
    for (index_t m = 0; m < count; ++m)
        if (!(orders[m] >= 0.0)) refuse("orders", "numbers in [0, inf]", told(orders[m]), FR_INVALID_ARGUMENT, m);
}

double accept_epsilon(double epsilon, double of_elements) {
    if (!(epsilon >= 0.0 && epsilon < 1.0)) refuse("epsilon", "a number in [0, 1)", told(epsilon));
    return epsilon > 0.0 ? epsilon : of_elements;
}

void judge(const Verdict& verdict, const std::string& name) {
    if (verdict.kind == Verdict::Kind::zero_trace) refuse(name, "a trace above zero", "zero", FR_ZERO, verdict.index);
    if (verdict.kind == Verdict::Kind::indefinite)
        refuse(name, "positive semidefinite matrices", "an eigenvalue of " + told(verdict.value), FR_INDEFINITE,
               verdict.index);
}

}  // namespace fastrenyi::c

int fr_abi_version(void) {
    return FASTRENYI_ABI_VERSION;
}

const char* fr_version(void) {
    return FASTRENYI_VERSION;
}

int fr_max_threads(void) {
    return fastrenyi::thread_count(0);
}

const char* fr_error_message(void) {
    return fastrenyi::c::message;
}

int64_t fr_error_index(void) {
    return fastrenyi::c::place;
}
