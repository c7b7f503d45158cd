#include "cpu/dispatch.hpp"

#include <cstdlib>
#include <stdexcept>

namespace fastrenyi::cpu {

// Defined in simd/engine.cpp, once per instruction set.
namespace baseline {
const Engine<float>& engine_float();
const Engine<double>& engine_double();
}  // namespace baseline
#ifdef FASTRENYI_X86
namespace avx2 {
const Engine<float>& engine_float();
const Engine<double>& engine_double();
}  // namespace avx2
namespace avx512 {
const Engine<float>& engine_float();
const Engine<double>& engine_double();
}  // namespace avx512
#endif

namespace {

/// One that was compiled. Its functions are called only where it runs: they may use its instructions.
struct Isa {
    const char* name;
    bool runs;
    const Engine<float>& (*single)();
    const Engine<double>& (*real)();
};

/// From the narrowest to the widest.
std::vector<Isa> isas() {
    std::vector<Isa> result{{"baseline", true, &baseline::engine_float, &baseline::engine_double}};
#ifdef FASTRENYI_X86
    __builtin_cpu_init();
    result.push_back({"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), &avx2::engine_float,
                      &avx2::engine_double});
    result.push_back({"avx512",
                      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"),
                      &avx512::engine_float, &avx512::engine_double});
#endif
    return result;
}

/// The widest that runs here, or the one named.
Isa chosen(const std::string& wanted) {
    std::string names;
    const std::vector<Isa> compiled = isas();
    const Isa* found = nullptr;
    for (const Isa& isa : compiled) {
        if (!isa.runs) continue;
        if (wanted.empty() || wanted == isa.name) found = &isa;
        names += std::string(names.empty() ? "" : ", ") + isa.name;
    }
    if (!found) throw std::invalid_argument("FASTRENYI_ISA: expected one of " + names + ", got '" + wanted + "'");
    return *found;
}

struct Engines {
    explicit Engines(const Isa& isa) : single(isa.single()), real(isa.real()) {}
    const Engine<float>& single;
    const Engine<double>& real;
};

/// Chosen by the first call, of whichever thread; not, and once more by the next, where that throws.
const Engines& engines() {
    static const Engines found = [] {
        const char* wanted = std::getenv("FASTRENYI_ISA");
        return Engines(chosen(wanted ? wanted : ""));
    }();
    return found;
}

}  // namespace

void choose_isa() {
    engines();
}

std::vector<std::string> compiled_isas() {
    std::vector<std::string> names;
    for (const Isa& isa : isas()) names.push_back(isa.name);
    return names;
}

std::string isa_in_use() {
    return engines().real.name;
}

template <>
const Engine<float>& engine<float>() {
    return engines().single;
}

template <>
const Engine<double>& engine<double>() {
    return engines().real;
}

}  // namespace fastrenyi::cpu
