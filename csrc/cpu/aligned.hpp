// Memory that starts on a vector of any instruction set.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace fastrenyi::cpu {

class Aligned {
  public:
    explicit Aligned(std::int64_t bytes) {
        void* memory = nullptr;
        if (posix_memalign(&memory, 64, static_cast<std::size_t>(bytes > 0 ? bytes : 64)) != 0) throw std::bad_alloc();
        memory_.reset(memory);
    }
    void* data() const { return memory_.get(); }
    template <class T>
    T* as() const {
        return static_cast<T*>(memory_.get());
    }

  private:
    struct Free {
        void operator()(void* memory) const { std::free(memory); }
    };
    std::unique_ptr<void, Free> memory_;
};

}  // namespace fastrenyi::cpu
