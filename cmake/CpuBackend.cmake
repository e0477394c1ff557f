# _cpu: the fast CPU backend, built where PyTorch is. PyTorch gives the threads and the matrix products (oneDNN, BLAS);
# the kernels themselves know nothing of it and are compiled once per instruction-set level, chosen at run time.
#
# TORCH_ROOT        folder of the torch package; found by asking Python when not given
# NPU_FA_CPU_LEVELS the instruction-set levels to build, e.g. "plain;avx2"; all that the processor family has by default

if(NOT TORCH_ROOT)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c
            "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE TORCH_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
if(NOT TORCH_ROOT OR NOT EXISTS ${TORCH_ROOT}/include/ATen/native/CPUBlas.h)
  message(STATUS "No PyTorch headers: building without the fast CPU backend")
  return()
endif()

# The C++ ABI of its std::string decides ours, where we call it.
execute_process(COMMAND ${Python_EXECUTABLE} -c "import torch; print(int(torch._C._GLIBCXX_USE_CXX11_ABI))"
                OUTPUT_VARIABLE torch_abi OUTPUT_STRIP_TRAILING_WHITESPACE)

set(cpu_sources python/csrc/cpu)
set(kernel_flags -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast)
# GCC 12 takes the undefined operands inside its own AVX-512 intrinsics for a mistake of ours (GCC bug 105593).
# Vector arguments change the calling convention between levels (-Wpsabi); none crosses from one to another.
list(APPEND kernel_flags -Wno-psabi -Wno-maybe-uninitialized -Wno-uninitialized)

if(NPU_FA_SANITIZE)
  list(REMOVE_ITEM kernel_flags -O3)
  list(APPEND kernel_flags -O1) # a third of the time to compile
endif()

set(levels plain)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  list(APPEND levels avx2 avx512 avx512_bf16)
  set(flags_avx2 -mavx2 -mfma -mf16c)
  set(flags_avx512 ${flags_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
  set(flags_avx512_bf16 ${flags_avx512} -mavx512bf16)
endif()
set(NPU_FA_CPU_LEVELS "${levels}" CACHE STRING "Instruction-set levels of the CPU backend; plain is always one")
set(levels plain ${NPU_FA_CPU_LEVELS})
list(REMOVE_DUPLICATES levels)

pybind11_add_module(_cpu ${cpu_sources}/bind_cpu.cpp)
foreach(level ${levels})
  add_library(npu_fa_cpu_${level} OBJECT ${cpu_sources}/kernels.cpp)
  target_include_directories(npu_fa_cpu_${level} PRIVATE op_kernel op_host)
  target_compile_definitions(npu_fa_cpu_${level} PRIVATE NPU_FA_CPU_LEVEL=${level})
  target_compile_options(npu_fa_cpu_${level} PRIVATE ${NPU_FA_WARNINGS} ${kernel_flags} ${flags_${level}}
                                                     ${NPU_FA_SANITIZE_FLAGS} -fvisibility=hidden)
  target_sources(_cpu PRIVATE $<TARGET_OBJECTS:npu_fa_cpu_${level}>)
endforeach()

# What includes PyTorch is apart from what includes pybind11: PyTorch brings a pybind11 of its own, and a problem passes
# from _C to _cpu only if both were built with the same one.
add_library(npu_fa_cpu_torch OBJECT ${cpu_sources}/backend.cpp ${cpu_sources}/products.cpp)
target_include_directories(npu_fa_cpu_torch PRIVATE op_kernel op_host)
target_include_directories(npu_fa_cpu_torch SYSTEM PRIVATE ${TORCH_ROOT}/include)
# at::parallel_for is a header over OpenMP. Compiled for it but linked without it: a second OpenMP runtime beside the
# one that PyTorch brings would be a second pool of threads.
target_compile_options(npu_fa_cpu_torch PRIVATE ${NPU_FA_WARNINGS} ${NPU_FA_SANITIZE_FLAGS} -fvisibility=hidden -fopenmp)
if(torch_abi STREQUAL "0")
  target_compile_definitions(npu_fa_cpu_torch PRIVATE _GLIBCXX_USE_CXX11_ABI=0)
endif()
# PyTorch's headers ask for C++17 up to 2.9 and for C++20 later.
set_target_properties(npu_fa_cpu_torch PROPERTIES CXX_STANDARD 20)
foreach(level ${levels})
  target_compile_definitions(npu_fa_cpu_torch PRIVATE NPU_FA_CPU_HAS_${level})
endforeach()

target_sources(_cpu PRIVATE $<TARGET_OBJECTS:npu_fa_cpu_torch>)
target_link_libraries(_cpu PRIVATE npu_fa_host ${TORCH_ROOT}/lib/libtorch_cpu.so ${TORCH_ROOT}/lib/libc10.so)
target_compile_options(_cpu PRIVATE ${NPU_FA_WARNINGS} ${NPU_FA_SANITIZE_FLAGS})
# The torch package is imported first; its libraries are then found by name.
set_target_properties(_cpu PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "${TORCH_ROOT}/lib")
if(NPU_FA_SANITIZE)
  target_link_options(_cpu PRIVATE ${NPU_FA_SANITIZE_FLAGS})
  target_compile_options(_C PRIVATE ${NPU_FA_SANITIZE_FLAGS})
  target_link_options(_C PRIVATE ${NPU_FA_SANITIZE_FLAGS})
  target_compile_options(npu_fa_host PRIVATE ${NPU_FA_SANITIZE_FLAGS})
endif()
install(TARGETS _cpu DESTINATION npu_flash_attention)
