// Which engine this process uses.
#pragma once
#include <string>
#include <vector>

#include "cpu/simd/engine.hpp"

namespace fastrenyi::cpu {

/// Chooses the one that FASTRENYI_ISA names, or without it the widest that this processor runs. Throws
/// std::invalid_argument for a name that was not compiled or does not run here. All below do so on first use; a module
/// asks when it is loaded, to tell early.
void choose_isa();

std::vector<std::string> compiled_isas();
std::string isa_in_use();

template <class T>
const Engine<T>& engine();

}  // namespace fastrenyi::cpu
