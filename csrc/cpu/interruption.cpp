#include "common/interruption.hpp"

#include <utility>

#include "cpu/subnormals.hpp"

namespace fastrenyi {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds between_looks{50};  // a look may have to wait for Python's lock

thread_local Watch watch;

}  // namespace

Interruptible::Interruptible(void (*look)()) : before_(std::exchange(watch, {look, Clock::now(), nullptr})) {}

Interruptible::~Interruptible() {
    watch = before_;
}

Sharing::Sharing(const std::atomic<bool>& failed) : before_(std::exchange(watch.failed, &failed)) {}

Sharing::~Sharing() {
    watch.failed = before_;
}

void stop_if_asked() {
    if (watch.failed && watch.failed->load(std::memory_order_relaxed)) throw Stopped{};
    if (!watch.look || Clock::now() - watch.last < between_looks) return;
    {
        const cpu::Subnormals are(cpu::Subnormals::kept);  // to a handler of signals
        watch.look();
    }
    watch.last = Clock::now();  // after what may have taken long
}

}  // namespace fastrenyi
