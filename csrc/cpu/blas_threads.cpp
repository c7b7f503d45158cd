#include "cpu/blas_threads.hpp"

#include <dlfcn.h>
#include <pthread.h>

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
int original = 0;

// A fork while another thread holds the guard would leave it locked in the child.
const int fork_handlers = pthread_atfork([] { guard.lock(); }, [] { guard.unlock(); }, [] { guard.unlock(); });

template <class F>
bool find(void* library, const char* name, F& function) {
    if (void* symbol = dlsym(library, name)) {
        function = reinterpret_cast<F>(symbol);
        return true;
    }
    return false;
}

void apply() {
    controls.set_threads(wanted.empty() ? original : *wanted.begin());
}

}  // namespace

void set_blas_controls(const std::string& dependent_library) {
    (void)fork_handlers;
    // A look-up in a loaded library also searches what it depends on: this finds the very BLAS it calls.
    void* library = dlopen(dependent_library.c_str(), RTLD_LAZY | RTLD_NOLOAD);
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
    if (!controls.get_threads) return;
    const std::lock_guard<std::mutex> lock(guard);
    if (wanted.empty()) original = controls.get_threads();
    wanted.insert(threads_);
    apply();
}

BlasThreads::~BlasThreads() {
    if (!controls.get_threads) return;
    const std::lock_guard<std::mutex> lock(guard);
    wanted.erase(wanted.find(threads_));
    apply();
}

}  // namespace fastrenyi::cpu
