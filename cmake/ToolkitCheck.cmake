# kernels_toolkit_check: the kernels against the headers of a real toolkit in ASCEND_HOME_PATH, as one object for both
# kinds of core (the CPU-debug mode of the toolkit) and as the device compiler does it, once for each kind.
# oncard_toolkit_check: what a card needs on the host, against the same headers: the operator package's definitions,
# shapes and tiling, as each of the three libraries that the toolkit makes of them, and the launch.
set(ASCEND_HOME_PATH "$ENV{ASCEND_HOME_PATH}" CACHE PATH "A toolkit to compile the kernels against")
if(NOT ASCEND_HOME_PATH)
  return()
endif()
set(toolkit_includes ${ASCEND_HOME_PATH}/tools/tikicpulib/lib/include)
file(GLOB toolkit_roots ${ASCEND_HOME_PATH}/*-linux)
foreach(root ${toolkit_roots} ${ASCEND_HOME_PATH})
  foreach(folder basic_api basic_api/interface basic_api/impl highlevel_api highlevel_api/lib highlevel_api/impl)
    if(EXISTS ${root}/ascendc/include/${folder})
      list(APPEND toolkit_includes ${root}/ascendc/include/${folder})
    endif()
  endforeach()
endforeach()
file(GLOB device_kernels CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/op_kernel/*.cpp)
foreach(kind forward backward)
  set(KERNEL npu_fa_package_${kind})
  configure_file(${CMAKE_CURRENT_SOURCE_DIR}/op_host/op_registration/kernels/${kind}.cpp.in
                 ${CMAKE_CURRENT_BINARY_DIR}/package_kernels/${kind}.cpp @ONLY)
  list(APPEND device_kernels ${CMAKE_CURRENT_BINARY_DIR}/package_kernels/${kind}.cpp)
  # Their parameters are the operator's, needed or not.
  set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/package_kernels/${kind}.cpp PROPERTIES
                              COMPILE_OPTIONS -Wno-unused-parameter)
endforeach()
set(core_both "")
set(core_aic __DAV_C220_CUBE__)
set(core_aiv __DAV_C220_VEC__)
foreach(core both aic aiv)
  add_library(kernels_toolkit_check_${core} OBJECT EXCLUDE_FROM_ALL ${device_kernels})
  target_include_directories(kernels_toolkit_check_${core} SYSTEM PRIVATE ${toolkit_includes})
  target_include_directories(kernels_toolkit_check_${core} PRIVATE op_kernel)
  # The toolkit's own bfloat16 (kernel_bf16.h) is what g++ suspects of reading something uninitialised.
  target_compile_options(kernels_toolkit_check_${core} PRIVATE ${NPU_FA_WARNINGS} -Wno-maybe-uninitialized)
  target_compile_definitions(kernels_toolkit_check_${core} PRIVATE
      _GLIBCXX_USE_CXX11_ABI=0 __CCE_KT_TEST__=1 ASCENDC_CPU_DEBUG=1 ASCENDC_DEBUG=1 __CCE_AICORE__=220 __DAV_C220__
      ${core_${core}})
endforeach()
add_custom_target(kernels_toolkit_check
                  DEPENDS kernels_toolkit_check_both kernels_toolkit_check_aic kernels_toolkit_check_aiv)

foreach(root ${toolkit_roots} ${ASCEND_HOME_PATH})
  list(APPEND host_includes ${root}/include ${root}/ascendc/include/highlevel_api)
endforeach()
file(GLOB registration CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/op_host/op_registration/*.cpp)
foreach(library OP_DEFINITION OP_PROTO_LIB OP_TILING_LIB)
  add_library(oncard_toolkit_check_${library} OBJECT EXCLUDE_FROM_ALL ${registration} op_host/launch_npu.cpp)
  target_include_directories(oncard_toolkit_check_${library} SYSTEM PRIVATE ${host_includes})
  target_include_directories(oncard_toolkit_check_${library} PRIVATE op_host op_kernel)
  target_compile_options(oncard_toolkit_check_${library} PRIVATE ${NPU_FA_WARNINGS})
  target_compile_definitions(oncard_toolkit_check_${library} PRIVATE _GLIBCXX_USE_CXX11_ABI=0 ${library})
endforeach()
# The aclnn layer of a card and the examples, as the toolkit's libraries are compiled.
file(GLOB aclnn_portable CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/op_host/aclnn/*.cpp
                                           ${CMAKE_CURRENT_SOURCE_DIR}/docs/examples/aclnn/*.cpp)
list(FILTER aclnn_portable EXCLUDE REGEX "runtime_simulator")
add_library(aclnn_toolkit_check OBJECT EXCLUDE_FROM_ALL ${aclnn_portable})
foreach(root ${toolkit_roots} ${ASCEND_HOME_PATH})
  list(APPEND opdev_includes ${root}/include/aclnn)
endforeach()
target_include_directories(aclnn_toolkit_check SYSTEM PRIVATE ${host_includes} ${opdev_includes})
target_compile_definitions(aclnn_toolkit_check PRIVATE _GLIBCXX_USE_CXX11_ABI=0)
target_include_directories(aclnn_toolkit_check PRIVATE op_host/aclnn op_host op_kernel)
target_compile_options(aclnn_toolkit_check PRIVATE ${NPU_FA_WARNINGS})
add_custom_target(oncard_toolkit_check DEPENDS kernels_toolkit_check aclnn_toolkit_check oncard_toolkit_check_OP_DEFINITION
                  oncard_toolkit_check_OP_PROTO_LIB oncard_toolkit_check_OP_TILING_LIB)
