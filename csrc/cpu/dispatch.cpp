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

struct Isa {
    bool runs;
    const Engine<float>* single;
    const Engine<double>* real;
};

/// From the narrowest to the widest.
std::vector<Isa> isas() {
    std::vector<Isa> result{{true, &baseline::engine_float(), &baseline::engine_double()}};
#ifdef FASTRENYI_X86
    __builtin_cpu_init();
    result.push_back({__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), &avx2::engine_float(),
                      &avx2::engine_double()});
    result.push_back({__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"),
                      &avx512::engine_float(), &avx512::engine_double()});
#endif
    return result;
}

Isa chosen = isas().front();

}  // namespace

void choose_isa(const std::string& wanted) {
    std::string names;
    for (const Isa& isa : isas()) {
        if (isa.runs && (wanted.empty() || wanted == isa.real->name)) chosen = isa;
        if (isa.runs) names += std::string(names.empty() ? "" : ", ") + isa.real->name;
    }
    if (!wanted.empty() && wanted != chosen.real->name)
        throw std::invalid_argument("FASTRENYI_ISA: expected one of " + names + ", got '" + wanted + "'");
}

std::vector<std::string> compiled_isas() {
    std::vector<std::string> names;
    for (const Isa& isa : isas()) names.push_back(isa.real->name);
    return names;
}

std::string isa_in_use() {
    return chosen.real->name;
}

template <>
const Engine<float>& engine<float>() {
    return *chosen.single;
}

template <>
const Engine<double>& engine<double>() {
    return *chosen.real;
}

}  // namespace fastrenyi::cpu
