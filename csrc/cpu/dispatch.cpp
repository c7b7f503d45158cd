#include "cpu/dispatch.hpp"

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

const Engine<float>* single = nullptr;
const Engine<double>* real = nullptr;

}  // namespace

void choose_isa(const std::string& wanted) {
    std::string names;
    const std::vector<Isa> compiled = isas();
    const Isa* chosen = nullptr;
    for (const Isa& isa : compiled) {
        if (!isa.runs) continue;
        if (wanted.empty() || wanted == isa.name) chosen = &isa;
        names += std::string(names.empty() ? "" : ", ") + isa.name;
    }
    if (!chosen) throw std::invalid_argument("FASTRENYI_ISA: expected one of " + names + ", got '" + wanted + "'");
    single = &chosen->single();
    real = &chosen->real();
}

std::vector<std::string> compiled_isas() {
    std::vector<std::string> names;
    for (const Isa& isa : isas()) names.push_back(isa.name);
    return names;
}

std::string isa_in_use() {
    return real->name;
}

template <>
const Engine<float>& engine<float>() {
    return *single;
}

template <>
const Engine<double>& engine<double>() {
    return *real;
}

}  // namespace fastrenyi::cpu
