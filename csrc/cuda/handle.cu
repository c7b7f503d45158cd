#include "cuda/handle.hpp"

#include <algorithm>
#include <limits>

#include "cuda/check.hpp"
#include "cuda/launch.hpp"

#ifdef __CUDACC__
#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>
#include <type_traits>
#else
#include "cuda/emulated_solver.hpp"
#endif

namespace fastrenyi::cuda {

#ifdef __CUDACC__
namespace {

// What is used of cuSOLVER, whose headers are not needed to build this.
using Handle = void*;
using Parameters = void*;
constexpr int mode_values = 0, mode_vectors = 1, lower_triangle = 0;
template <class T>
constexpr int data_type = sizeof(T) == 4 ? 0 : 1;  // CUDA_R_32F, CUDA_R_64F

using Make = int(void**);
using SetStream = int(Handle, cudaStream_t);
using SizeOfOne = int(Handle, Parameters, int mode, int triangle, std::int64_t n, int type, const void* a,
                      std::int64_t ld, int values_type, const void* values, int compute_type, std::size_t* device_bytes,
                      std::size_t* host_bytes);
using SolveOne = int(Handle, Parameters, int mode, int triangle, std::int64_t n, int type, void* a, std::int64_t ld,
                     int values_type, void* values, int compute_type, void* device, std::size_t device_bytes,
                     void* host, std::size_t host_bytes, int* info);
using SizeOfBatch = int(Handle, Parameters, int mode, int triangle, std::int64_t n, int type, const void* a,
                        std::int64_t ld, int values_type, const void* values, int compute_type,
                        std::size_t* device_bytes, std::size_t* host_bytes, std::int64_t batch);
using SolveBatch = int(Handle, Parameters, int mode, int triangle, std::int64_t n, int type, void* a, std::int64_t ld,
                       int values_type, void* values, int compute_type, void* device, std::size_t device_bytes,
                       void* host, std::size_t host_bytes, int* info, std::int64_t batch);

std::mutex mutex;                        // of the library and of which devices have a Solver
std::vector<std::string> library_paths;  // guarded by it

struct Symbols {
    std::string file, problem;
    Make* create = nullptr;
    Make* create_parameters = nullptr;
    SetStream* set_stream = nullptr;
    SizeOfOne* size_of_one = nullptr;
    SolveOne* solve_one = nullptr;
    SizeOfBatch* size_of_batch = nullptr;  // null before CUDA 12.6
    SolveBatch* solve_batch = nullptr;

    bool ready() const { return create && create_parameters && set_stream && size_of_one && solve_one; }
};

void open(Symbols& symbols) {
    const char* const names[] = {"libcusolver.so.12", "libcusolver.so.11", "libcusolver.so"};
    void* library = nullptr;
    const auto attempt = [&](const std::string& name, int flags) {
        if (library) return;
        library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | flags);
        if (library)
            symbols.file = name;
        else if (const char* const said = dlerror(); said && !(flags & RTLD_NOLOAD))
            symbols.problem += (symbols.problem.empty() ? "" : "; ") + std::string(said);
    };
    symbols.problem.clear();
    for (const char* name : names) attempt(name, RTLD_NOLOAD);  // another library of this process may have it
    for (const std::string& path : library_paths) attempt(path, 0);
    for (const char* name : names) attempt(name, 0);
    if (!library) return;
    const auto find = [&](auto*& function, const char* name) {
        function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
    };
    find(symbols.create, "cusolverDnCreate");
    find(symbols.create_parameters, "cusolverDnCreateParams");
    find(symbols.set_stream, "cusolverDnSetStream");
    find(symbols.size_of_one, "cusolverDnXsyevd_bufferSize");
    find(symbols.solve_one, "cusolverDnXsyevd");
    find(symbols.size_of_batch, "cusolverDnXsyevBatched_bufferSize");
    find(symbols.solve_batch, "cusolverDnXsyevBatched");
    Dl_info where;
    if (symbols.create && dladdr(reinterpret_cast<void*>(symbols.create), &where)) symbols.file = where.dli_fname;
    if (!symbols.ready()) symbols.problem = symbols.file + " lacks cusolverDnXsyevd (CUDA 11.1 and later have it)";
}

/// Opened once; what was not found is looked for again, as it may have been loaded since.
Symbols& symbols() {
    static Symbols found;
    if (!found.ready()) open(found);
    return found;
}

void check_solver(int result, const char* what) {
    if (result != 0) throw CudaError(std::string(what) + ": cuSOLVER's status " + std::to_string(result));
}

/// Matrices of a batch that cuSOLVER is given at once: it refuses some more than 2^15, which its documentation does not
/// say, and asks for a workspace of some eight times their size.
index_t most_at_once(index_t n) {
    constexpr index_t matrices = 1 << 14, elements = 1 << 25;
    return std::min(matrices, std::max<index_t>(1, elements / (n * n)));
}

/// cuSOLVER on the current device. It stays for the life of the process: at its end the device may be gone before it.
struct Solver {
    std::mutex busy;  // held while it is asked: threads on other devices need not wait
    Symbols& call;
    Handle handle = nullptr;
    Parameters parameters = nullptr;

    static Solver& here() {
        const std::lock_guard<std::mutex> hold(mutex);
        static auto& solvers = *new std::map<int, std::unique_ptr<Solver>>;
        int device = 0;
        check(cudaGetDevice(&device), "asking for the current device");
        std::unique_ptr<Solver>& solver = solvers[device];
        if (!solver) solver = std::make_unique<Solver>();
        return *solver;
    }

    Solver() : call(symbols()) {
        if (!call.ready()) throw CudaError("cuSOLVER was not found: " + call.problem);
        check_solver(call.create(&handle), "cusolverDnCreate");
        check_solver(call.create_parameters(&parameters), "cusolverDnCreateParams");
    }

    /// Many matrices at once, or one after the other: of matrices that a multiprocessor cannot hold, cuSOLVER takes
    /// five or six in the time of all (measured on an H200, CUDA 13.0, n = 200 to 512).
    template <class T>
    bool batched(index_t batch, index_t n) const {
        const bool small = static_cast<std::size_t>(n * n) * sizeof(T) <= std::size_t(256) << 10;
        return std::min(batch, most_at_once(n)) > (small ? 1 : 5) && call.size_of_batch && call.solve_batch;
    }
};

/// Where things lie in the workspace of solve().
struct Sizes {
    std::size_t device = 0, host = 0, info = 0;
};

template <class T>
Sizes sizes_of(const Solver& solver, index_t batch, index_t n, bool vectors) {
    Sizes sizes;
    const int mode = vectors ? mode_vectors : mode_values;
    constexpr int type = data_type<T>;
    if (solver.template batched<T>(batch, n)) {
        // That fewer matrices need no more is nowhere said.
        const index_t at_once = std::min(batch, most_at_once(n)), rest = batch % at_once;
        for (const index_t count : {at_once, rest == 0 ? at_once : rest}) {
            Sizes some;
            check_solver(solver.call.size_of_batch(solver.handle, solver.parameters, mode, lower_triangle, n, type,
                                                   nullptr, n, type, nullptr, type, &some.device, &some.host, count),
                         "cusolverDnXsyevBatched_bufferSize");
            sizes.device = std::max(sizes.device, some.device);
            sizes.host = std::max(sizes.host, some.host);
        }
    } else {
        check_solver(solver.call.size_of_one(solver.handle, solver.parameters, mode, lower_triangle, n, type, nullptr,
                                             n, type, nullptr, type, &sizes.device, &sizes.host),
                     "cusolverDnXsyevd_bufferSize");
    }
    sizes.device = (sizes.device + 255) / 256 * 256;
    sizes.info = (static_cast<std::size_t>(batch) * sizeof(int) + 255) / 256 * 256;
    return sizes;
}

/// Makes NaN of the values of a matrix that was not solved; a block to a matrix.
template <class T>
struct Judge {
    static constexpr int max_threads = 128;

    const int* info;
    T* values;
    index_t n;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        if (info[block.index()] == 0) return;
        for (index_t i = block.thread(); i < n; i += block.threads())
            values[block.index() * n + i] = std::numeric_limits<T>::quiet_NaN();
    }
};

}  // namespace

void set_library_paths(const std::vector<std::string>& paths) {
    const std::lock_guard<std::mutex> hold(mutex);
    library_paths = paths;
}

Library solver_library() {
    const std::lock_guard<std::mutex> hold(mutex);
    const Symbols& found = symbols();
    return {found.ready(), found.ready() ? found.file : found.problem};
}

template <class T>
std::size_t solve_workspace(index_t batch, index_t n, bool vectors) {
    if (batch == 0) return 0;
    Solver& solver = Solver::here();
    const std::lock_guard<std::mutex> hold(solver.busy);
    const Sizes sizes = sizes_of<T>(solver, batch, n, vectors);
    return sizes.device + sizes.info;
}

template <class T>
void solve(T* matrices, index_t batch, index_t n, bool vectors, T* values, void* workspace, std::size_t workspace_bytes,
           Stream stream) {
    Solver& solver = Solver::here();
    const std::lock_guard<std::mutex> hold(solver.busy);
    const Sizes sizes = sizes_of<T>(solver, batch, n, vectors);
    if (workspace_bytes < sizes.device + sizes.info) throw CudaError("workspace: too small for cuSOLVER");
    check_solver(solver.call.set_stream(solver.handle, stream), "cusolverDnSetStream");
    const std::unique_ptr<char[]> host(new char[sizes.host + 1]);
    auto* const info = reinterpret_cast<int*>(static_cast<char*>(workspace) + sizes.device);
    const int mode = vectors ? mode_vectors : mode_values;
    constexpr int type = data_type<T>;
    if (solver.template batched<T>(batch, n)) {
        for (index_t b = 0; b < batch; b += most_at_once(n))
            check_solver(
                solver.call.solve_batch(solver.handle, solver.parameters, mode, lower_triangle, n, type,
                                        matrices + b * n * n, n, type, values + b * n, type, workspace, sizes.device,
                                        host.get(), sizes.host, info + b, std::min(batch - b, most_at_once(n))),
                "cusolverDnXsyevBatched");
    } else {
        for (index_t b = 0; b < batch; ++b)
            check_solver(solver.call.solve_one(solver.handle, solver.parameters, mode, lower_triangle, n, type,
                                               matrices + b * n * n, n, type, values + b * n, type, workspace,
                                               sizes.device, host.get(), sizes.host, info + b),
                         "cusolverDnXsyevd");
    }
    launch(Judge<T>{info, values, n}, batch, Judge<T>::max_threads, 0, stream);
}

#else  // the host

void set_library_paths(const std::vector<std::string>&) {}

Library solver_library() {
    return {true, "emulated on the host"};
}

template <class T>
std::size_t solve_workspace(index_t, index_t, bool) {
    return 0;
}

template <class T>
void solve(T* matrices, index_t batch, index_t n, bool vectors, T* values, void*, std::size_t, Stream) {
    for (index_t b = 0; b < batch; ++b) jacobi(matrices + b * n * n, n, vectors, values + b * n);
}

#endif

template std::size_t solve_workspace<float>(index_t, index_t, bool);
template std::size_t solve_workspace<double>(index_t, index_t, bool);
template void solve(float*, index_t, index_t, bool, float*, void*, std::size_t, Stream);
template void solve(double*, index_t, index_t, bool, double*, void*, std::size_t, Stream);

}  // namespace fastrenyi::cuda
