// Which engine this process uses.
#pragma once
#include <string>
#include <vector>

#include "cpu/simd/engine.hpp"

namespace fastrenyi::cpu {

/// Chooses by name, or for "" the widest that this processor runs. Throws std::invalid_argument for a name that was
/// not compiled or does not run here. Called once, when the module is loaded.
void choose_isa(const std::string& wanted);

std::vector<std::string> compiled_isas();
std::string isa_in_use();

template <class T>
const Engine<T>& engine();

}  // namespace fastrenyi::cpu
