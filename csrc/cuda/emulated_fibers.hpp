// The threads of a block as fibers of one thread of the host (emulated_block.hpp): a barrier of 128 costs microseconds,
// where as many threads take a millisecond to meet.
//
// A fiber runs until it has to wait for others. They take turns forth and back, so that what one reads before another
// has written is wrong in every run. ThreadSanitizer is told that they are threads, ordered by barriers alone.
#pragma once
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <vector>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define FASTRENYI_UNWATCHED __attribute__((no_sanitize("thread")))
#else
#define FASTRENYI_UNWATCHED
#endif
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define FASTRENYI_WATCHED  // sanitizers know switches of contexts, but no jumps between stacks, which are much faster
#endif

namespace fastrenyi::cuda {

/// Where some of the fibers of a crew wait for each other, again and again.
struct Barrier {
    explicit Barrier(int count) : members(count), waiting(static_cast<std::size_t>(count)) {}

    int members;
    std::vector<int> waiting;
    int arrived = 0, place = 0;
    int turn = 0;  // even or odd: to the sanitizer, one that is ahead must not be one that was here before
    char turns[2] = {};
};

class Crew {
  public:
    /// The calling thread's crew of `count`, kept for its next kernel: to the sanitizer, fibers are dear to make.
    static Crew& of(int count) {
        thread_local std::map<int, std::unique_ptr<Crew>> crews;
        std::unique_ptr<Crew>& crew = crews[count];
        if (!crew) crew = std::make_unique<Crew>(count);
        return *crew;
    }

    explicit Crew(int count) : count_(count), fibers_(new Fiber[count]), ready_(new int[count]) {
        stacks_ = static_cast<char*>(
            mmap(nullptr, count_ * stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (stacks_ == MAP_FAILED) throw std::bad_alloc();
#ifdef __SANITIZE_THREAD__
        for (int thread = 0; thread < count; ++thread) fibers_[thread].watched = __tsan_create_fiber(0);
#endif
    }
    ~Crew() {
#ifdef __SANITIZE_THREAD__
        for (int thread = 0; thread < count_; ++thread) __tsan_destroy_fiber(fibers_[thread].watched);
#endif
        munmap(stacks_, count_ * stack_bytes);
        delete[] ready_;
        delete[] fibers_;
    }
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    /// work(thread) for each, as if at the same time.
    void run(const std::function<void(int)>& work) {
        work_ = &work;
        for (int thread = 0; thread < count_; ++thread) {
            prepare(thread);
            ready_[count_ - 1 - thread] = thread;
        }
        ready_count_ = running_ = count_;
        main_.entered = true;
#ifdef __SANITIZE_THREAD__
        main_.watched = __tsan_get_current_fiber();
        __tsan_release(&main_);
#endif
        next(main_);
#ifdef __SANITIZE_THREAD__
        __tsan_acquire(&main_);
#endif
    }

    /// Fiber `thread` goes on when all members of the barrier have come. `place` tells the barriers of a kernel apart:
    /// threads that meet at two of them would hang a device.
    FASTRENYI_UNWATCHED void wait(Barrier& barrier, int thread, int place) {
        if (barrier.arrived > 0 && barrier.place != place) give_up("different barriers");
        barrier.place = place;
#ifdef __SANITIZE_THREAD__
        char* const turn = &barrier.turns[barrier.turn];
        __tsan_release(turn);
#endif
        int* const waiting = barrier.waiting.data();
        if (barrier.arrived + 1 < barrier.members) {
            waiting[barrier.arrived++] = thread;
            next(fibers_[thread]);
        } else {
            for (int other = 0; other < barrier.arrived; ++other) ready_[ready_count_++] = waiting[other];
            barrier.arrived = 0;
            barrier.turn = 1 - barrier.turn;
        }
#ifdef __SANITIZE_THREAD__
        __tsan_acquire(turn);
#endif
    }

  private:
    static constexpr std::size_t stack_bytes = 256 * 1024;  // taken from the system as far as they are used

    struct Fiber {
        ucontext_t context;
        jmp_buf jump;
        bool entered = false;
        void* watched = nullptr;  // what ThreadSanitizer knows it by
    };

    void prepare(int thread) {
        Fiber& fiber = fibers_[thread];
        fiber.entered = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = stacks_ + static_cast<std::size_t>(thread) * stack_bytes;
        fiber.context.uc_stack.ss_size = stack_bytes;
        fiber.context.uc_link = nullptr;
        const auto self = reinterpret_cast<std::uintptr_t>(this);
        makecontext(&fiber.context, reinterpret_cast<void (*)()>(&Crew::enter), 3, static_cast<unsigned>(self),
                    static_cast<unsigned>(self >> 32), static_cast<unsigned>(thread));
    }

    /// Where a fiber begins: a context takes no pointers, only ints.
    FASTRENYI_UNWATCHED static void enter(unsigned low, unsigned high, unsigned thread) {
        Crew& crew = *reinterpret_cast<Crew*>(static_cast<std::uintptr_t>(high) << 32 | low);
#ifdef __SANITIZE_THREAD__
        __tsan_acquire(&crew.main_);
#endif
        (*crew.work_)(static_cast<int>(thread));
#ifdef __SANITIZE_THREAD__
        __tsan_release(&crew.main_);
#endif
        --crew.running_;
        crew.next(crew.fibers_[thread]);
    }

    /// Leaves `from` for the fiber that became ready last, or for the caller of run() when all are through.
    FASTRENYI_UNWATCHED __attribute__((noinline)) void next(Fiber& from) {
        if (running_ > 0 && ready_count_ == 0) give_up("a barrier that others will not come to");
        Fiber& to = running_ > 0 ? fibers_[ready_[--ready_count_]] : main_;
#ifdef __SANITIZE_THREAD__
        __tsan_switch_to_fiber(to.watched, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef FASTRENYI_WATCHED
        swapcontext(&from.context, &to.context);
#else
        if (_setjmp(from.jump) != 0) return;
        if (to.entered) _longjmp(to.jump, 1);
        to.entered = true;
        setcontext(&to.context);
#endif
    }

    [[noreturn]] static void give_up(const char* where) {
        std::fprintf(stderr, "fastrenyi: the threads of a block wait at %s\n", where);
        std::abort();
    }

    const std::function<void(int)>* work_ = nullptr;
    int count_;
    Fiber* fibers_;  // plain memory: what a container does would be watched
    int* ready_;
    int ready_count_ = 0, running_ = 0;
    Fiber main_;
    char* stacks_ = nullptr;
};

#undef FASTRENYI_UNWATCHED
#undef FASTRENYI_WATCHED

}  // namespace fastrenyi::cuda
