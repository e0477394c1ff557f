# The backend `simulator`: the kernels of op_kernel, compiled for the host against the simulator's kernel_operator.h.
if(NOT TARGET ascend_simulator)
  add_subdirectory(${CMAKE_CURRENT_SOURCE_DIR}/simulator ${CMAKE_CURRENT_BINARY_DIR}/simulator)
endif()
add_library(npu_fa_simulator STATIC
            op_kernel/flash_attention_score.cpp op_host/launch_simulator.cpp)
target_compile_options(npu_fa_simulator PRIVATE -O2 ${NPU_FA_WARNINGS})
target_link_libraries(npu_fa_simulator PUBLIC npu_fa_host ascend_simulator)

if(NPU_FA_BUILD_PYTHON)
  pybind11_add_module(_S python/csrc/bind_simulator.cpp)
  target_link_libraries(_S PRIVATE npu_fa_simulator)
  target_compile_options(_S PRIVATE ${NPU_FA_WARNINGS})
  install(TARGETS _S DESTINATION npu_flash_attention)
endif()
