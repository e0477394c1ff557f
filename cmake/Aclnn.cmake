# libnpu_fa_aclnn: the aclnn C API on the simulator's ACL host runtime, which C++ programs link like the toolkit's
# libraries (headers: op_host/aclnn and simulator/include), and _aclnn, the same for Python.
set(aclnn_sources op_host/aclnn/aclnn_flash_attention_score.cpp op_host/aclnn/aclnn_flash_attention_score_grad.cpp
                  op_host/aclnn/call.cpp op_host/aclnn/checks.cpp op_host/aclnn/messages.cpp op_host/aclnn/phases.cpp
                  op_host/aclnn/program.cpp op_host/aclnn/runtime_simulator.cpp op_host/aclnn/tensor_view.cpp)
set(aclnn_symbols ${CMAKE_CURRENT_SOURCE_DIR}/op_host/aclnn/exported_symbols.map)
add_library(npu_fa_aclnn SHARED ${aclnn_sources})
target_include_directories(npu_fa_aclnn PUBLIC op_host/aclnn simulator/include PRIVATE op_host op_kernel simulator)
target_compile_options(npu_fa_aclnn PRIVATE ${NPU_FA_WARNINGS})
target_link_libraries(npu_fa_aclnn PRIVATE npu_fa_launch npu_fa_kernels -Wl,--whole-archive ascend_acl
                                           -Wl,--no-whole-archive)
target_link_options(npu_fa_aclnn PRIVATE -Wl,--version-script=${aclnn_symbols})
set_target_properties(npu_fa_aclnn PROPERTIES LINK_DEPENDS ${aclnn_symbols})

if(NPU_FA_BUILD_PYTHON)
  pybind11_add_module(_aclnn python/csrc/bind_aclnn.cpp)
  target_include_directories(_aclnn PRIVATE simulator)
  target_link_libraries(_aclnn PRIVATE npu_fa_aclnn)
  target_compile_options(_aclnn PRIVATE ${NPU_FA_WARNINGS})
  set_target_properties(_aclnn PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN")
  install(TARGETS _aclnn npu_fa_aclnn DESTINATION npu_flash_attention)
endif()

# Programs that use the C API: the examples, and those of the tests.
option(NPU_FA_BUILD_ACLNN_PROGRAMS "Build docs/examples/aclnn and the programs of tests/aclnn" OFF)
if(NPU_FA_BUILD_ACLNN_PROGRAMS)
  find_package(Threads REQUIRED)
  add_executable(aclnn_forward docs/examples/aclnn/forward.cpp)
  add_executable(aclnn_backward docs/examples/aclnn/backward.cpp)
  add_executable(aclnn_varlen docs/examples/aclnn/varlen.cpp)
  add_executable(aclnn_fuzz tests/aclnn/fuzz.cpp tests/aclnn/fuzz_mutations.cpp tests/aclnn/fuzz_valid.cpp)
  add_executable(aclnn_threads tests/aclnn/threads.cpp)
  foreach(program forward backward varlen fuzz threads)
    target_link_libraries(aclnn_${program} PRIVATE npu_fa_aclnn Threads::Threads)
    target_compile_options(aclnn_${program} PRIVATE ${NPU_FA_WARNINGS})
  endforeach()
endif()
