// Numbers under the normal range made zeros.
#pragma once
#include <cstdint>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace fastrenyi::cpu {

/// While it lives, this thread takes subnormal numbers for zeros. What is left of a matrix of low rank shrinks by a
/// factor of epsilon with every reflection, and processors take a hundred times as long over such numbers. Nothing on
/// processors where that is not known.
class FlushToZero {
  public:
#if defined(__SSE2__)
    FlushToZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }  // results and operands
    ~FlushToZero() { _mm_setcsr(before_); }
#elif defined(__aarch64__)
    FlushToZero() {
        asm volatile("mrs %0, fpcr" : "=r"(before_));
        asm volatile("msr fpcr, %0" ::"r"(before_ | (std::uint64_t(1) << 24)));
    }
    ~FlushToZero() { asm volatile("msr fpcr, %0" ::"r"(before_)); }
#else
    FlushToZero() {}
    ~FlushToZero() {}
#endif
    FlushToZero(const FlushToZero&) = delete;
    FlushToZero& operator=(const FlushToZero&) = delete;

  private:
#if defined(__SSE2__)
    unsigned before_;
#elif defined(__aarch64__)
    std::uint64_t before_;
#endif
};

}  // namespace fastrenyi::cpu
