// Numbers under the normal range.
#pragma once
#include <cstdint>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace fastrenyi::cpu {

/// Says, while it lives, whether this thread keeps subnormal numbers or takes them for zeros. What is left of a matrix
/// of low rank shrinks by a factor of epsilon with every reflection, and processors take a hundred times as long over
/// such numbers. Nothing on processors where that is not known.
class Subnormals {
  public:
    enum Are { kept, zeros };

    explicit Subnormals(Are are) : before_(read()) { write(are == kept ? before_ & ~flush : before_ | flush); }
    ~Subnormals() { write(before_); }
    Subnormals(const Subnormals&) = delete;
    Subnormals& operator=(const Subnormals&) = delete;

  private:
#if defined(__SSE2__)
    using Word = unsigned;
    static constexpr Word flush = 0x8040;  // results and operands
    static Word read() { return _mm_getcsr(); }
    static void write(Word word) { _mm_setcsr(word); }
#elif defined(__aarch64__)
    using Word = std::uint64_t;
    static constexpr Word flush = Word(1) << 24;
    static Word read() {
        Word word;
        asm volatile("mrs %0, fpcr" : "=r"(word));
        return word;
    }
    static void write(Word word) { asm volatile("msr fpcr, %0" ::"r"(word)); }
#else
    using Word = unsigned;
    static constexpr Word flush = 0;
    static Word read() { return 0; }
    static void write(Word) {}
#endif

    Word before_;
};

}  // namespace fastrenyi::cpu
