// The time that a call spends without the GIL.
#pragma once
#include <pybind11/pybind11.h>

#include "common/interruption.hpp"

namespace fastrenyi::bindings {

namespace py = pybind11;

/// Python runs the handlers of signals on this thread alone; set when the module is loaded.
inline unsigned long main_thread = 0;

inline void find_main_thread() {
    main_thread = py::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>();
}

/// While it lives the GIL is released, and a signal whose handler raises an exception (Ctrl-C) ends the work with it.
class Released {
  public:
    Released() : interruptible_(PyThread_get_thread_ident() == main_thread ? &run_handlers : nullptr) {}

  private:
    static void run_handlers() {
        const py::gil_scoped_acquire acquire;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    }

    py::gil_scoped_release release_;
    Interruptible interruptible_;
};

}  // namespace fastrenyi::bindings
