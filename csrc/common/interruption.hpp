// A long call can be left before its end. Defined by the device's floor (cpu/interruption.cpp).
#pragma once
#include <atomic>
#include <chrono>

namespace fastrenyi {

/// What a thread's work ends by; none of its own in the beginning.
struct Watch {
    void (*look)() = nullptr;
    std::chrono::steady_clock::time_point last;  ///< when it was called
    const std::atomic<bool>* failed = nullptr;   ///< of the work that this thread shares with others
};

/// While it lives, work of this thread, and of those it shares work with, ends with what `look` throws. That is called
/// on this thread alone, between pieces of work, and not much more often than every `between_looks`. Null: nothing is.
class Interruptible {
  public:
    explicit Interruptible(void (*look)());
    ~Interruptible();
    Interruptible(const Interruptible&) = delete;
    Interruptible& operator=(const Interruptible&) = delete;

  private:
    Watch before_;
};

/// While it lives, work of this thread ends when `failed` comes true, by a Stopped.
class Sharing {
  public:
    explicit Sharing(const std::atomic<bool>& failed);
    ~Sharing();
    Sharing(const Sharing&) = delete;
    Sharing& operator=(const Sharing&) = delete;

  private:
    const std::atomic<bool>* before_;
};

/// Another thread has thrown what the caller is to be told.
struct Stopped {};

/// Looks whether the work is to end, and if so throws. parallel_for calls it before each piece; a piece that can take
/// longer than a tenth of a second does so within.
void stop_if_asked();

}  // namespace fastrenyi
