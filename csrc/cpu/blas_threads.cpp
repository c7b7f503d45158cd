#include "cpu/blas_threads.hpp"

#include <dlfcn.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>

namespace fastrenyi::cpu {
namespace {

struct Controls {
    int (*get_threads)() = nullptr;
    void (*set_threads)(int) = nullptr;
    const char* (*configuration)() = nullptr;
} controls;

std::mutex guard;
std::multiset<int> wanted;  // of all BlasThreads alive
thread_local std::size_t own =
    0;  // of those, of this thread: one that forks, in the handler of a signal, is not in BLAS
std::condition_variable idle;
int original = 0;

// OpenBLAS stops its threads before a fork, even those at work for another thread of ours, which then computes
// nonsense or waits for ever. So a fork waits for the BLAS calls under way. Handlers run in reverse order: ours must be
// registered after OpenBLAS's own, when the library is there.
void wait_before_forks() {
    pthread_atfork(
        [] {
            std::unique_lock<std::mutex> lock(guard);
            idle.wait(lock, [] { return wanted.size() == own; });
            lock.release();
        },
        [] { guard.unlock(); }, [] { guard.unlock(); });
}

template <class F>
bool find(void* library, const char* name, F& function) {
    if (void* symbol = dlsym(library, name)) {
        function = reinterpret_cast<F>(symbol);
        return true;
    }
    return false;
}

/// A BLAS without controls, or with half of them, is left as it is.
void apply() {
    if (!controls.get_threads || !controls.set_threads) return;
    controls.set_threads(wanted.empty() ? original : std::min(original, *wanted.begin()));
}

}  // namespace

void set_blas_controls(const std::string& dependent_library) {
    wait_before_forks();
    // A look-up in a loaded library also searches what it depends on: this finds the very BLAS it calls.
    void* library = dlopen(dependent_library.empty() ? nullptr : dependent_library.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    if (!library) return;
    for (const std::string prefix : {"scipy_openblas_", "openblas_"})
        for (const std::string suffix : {"", "64_"}) {
            if (!find(library, (prefix + "set_num_threads" + suffix).c_str(), controls.set_threads)) continue;
            if (!find(library, (prefix + "get_num_threads" + suffix).c_str(), controls.get_threads)) continue;
            find(library, (prefix + "get_config" + suffix).c_str(), controls.configuration);
            return;
        }
    if (find(library, "MKL_Set_Num_Threads", controls.set_threads))
        find(library, "MKL_Get_Max_Threads", controls.get_threads);
}

std::string blas_configuration() {
    return controls.configuration ? controls.configuration() : "";
}

BlasThreads::BlasThreads(int threads) : threads_(threads) {
    const std::lock_guard<std::mutex> lock(guard);
    if (wanted.empty() && controls.get_threads) original = controls.get_threads();
    wanted.insert(threads_);
    ++own;
    apply();
}

BlasThreads::~BlasThreads() {
    const std::lock_guard<std::mutex> lock(guard);
    wanted.erase(wanted.find(threads_));
    --own;
    apply();
    idle.notify_all();
}

}  // namespace fastrenyi::cpu
