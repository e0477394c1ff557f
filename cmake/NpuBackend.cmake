# The backend `npu`: the kernels compiled by the AscendC compiler of a toolkit, and the binding to torch_npu.
#
# NPU_FA_SOC             chips to compile for, e.g. "Ascend910B2;Ascend910B4"; empty builds nothing here
# ASCEND_HOME_PATH       the toolkit (its set_env.sh sets it)
# NPU_FA_TORCH_NPU_ROOT  folder of the torch_npu package; found by asking Python when not given

set(NPU_FA_SOC "$ENV{NPU_FA_SOC}" CACHE STRING "Chips to compile the kernels for, e.g. Ascend910B2;Ascend910B4")
if(NOT NPU_FA_SOC)
  return()
endif()
set(ASCEND_HOME_PATH "$ENV{ASCEND_HOME_PATH}" CACHE PATH "The Ascend toolkit")
if(NOT ASCEND_HOME_PATH)
  message(FATAL_ERROR "NPU_FA_SOC is ${NPU_FA_SOC}, but there is no toolkit: source its set_env.sh, which sets "
                      "ASCEND_HOME_PATH, or pass -DASCEND_HOME_PATH=...")
endif()
if(NOT IS_DIRECTORY ${ASCEND_HOME_PATH})
  message(FATAL_ERROR "ASCEND_HOME_PATH: expected the folder of a toolkit, got ${ASCEND_HOME_PATH}, which is no folder")
endif()
find_file(ASCENDC_CMAKE ascendc.cmake NO_DEFAULT_PATH
          PATHS ${ASCEND_HOME_PATH}/tools/tikcpp/ascendc_kernel_cmake
                ${ASCEND_HOME_PATH}/compiler/tikcpp/ascendc_kernel_cmake
                ${ASCEND_HOME_PATH}/ascendc_devkit/tikcpp/samples/cmake)
if(NOT ASCENDC_CMAKE)
  message(FATAL_ERROR "ASCEND_HOME_PATH: expected a toolkit with the AscendC compiler, got ${ASCEND_HOME_PATH}, which "
                      "has no tools/tikcpp/ascendc_kernel_cmake/ascendc.cmake")
endif()
find_library(ASCENDCL ascendcl NO_DEFAULT_PATH PATHS ${ASCEND_HOME_PATH}/lib64)
if(NOT ASCENDCL)
  message(FATAL_ERROR "ASCEND_HOME_PATH: expected a toolkit with lib64/libascendcl.so, got ${ASCEND_HOME_PATH}")
endif()
file(STRINGS op_host/platform.cpp known_socs REGEX "{\"Ascend")
foreach(soc ${NPU_FA_SOC})
  if(NOT known_socs MATCHES "\"${soc}\"")
    message(FATAL_ERROR "NPU_FA_SOC: expected chips of op_host/platform.cpp, got ${soc}")
  endif()
endforeach()

# One project for each chip: the toolkit's CMake functions serve one chip a project.
include(ExternalProject)
# They are looked for beside the library that launches them.
set(kernels_output ${CMAKE_CURRENT_BINARY_DIR})
if(CMAKE_LIBRARY_OUTPUT_DIRECTORY)
  set(kernels_output ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
endif()
set(kernels_destination lib)
if(NPU_FA_BUILD_PYTHON)
  set(kernels_destination npu_flash_attention)
endif()
foreach(soc ${NPU_FA_SOC})
  ExternalProject_Add(npu_fa_kernels_${soc}
    SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR}/cmake/npu_kernels
    BINARY_DIR ${CMAKE_CURRENT_BINARY_DIR}/npu_kernels_${soc}
    CMAKE_ARGS -DSOC_VERSION=${soc} -DASCENDC_CMAKE=${ASCENDC_CMAKE} -DASCEND_CANN_PACKAGE_PATH=${ASCEND_HOME_PATH}
               -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE} -DOUTPUT=${kernels_output}
    BUILD_ALWAYS TRUE
    INSTALL_COMMAND "")
  string(TOLOWER ${soc} soc_name)
  install(FILES ${kernels_output}/libnpu_fa_kernels_${soc_name}.so DESTINATION ${kernels_destination})
endforeach()

# npu_fa_op_package: the kernels as operators of a graph (docs/npu.md), out of the toolkit's project template.
set(op_package ${CMAKE_CURRENT_BINARY_DIR}/op_package)
set(op_package_units "")
foreach(soc ${NPU_FA_SOC})
  if(soc MATCHES "^Ascend910_93")
    list(APPEND op_package_units ascend910_93)
  else()
    list(APPEND op_package_units ascend910b)
  endif()
endforeach()
list(REMOVE_DUPLICATES op_package_units)
option(NPU_FA_VENDOR_NAMES "Give the package's operators the names of the toolkit's, in whose place they come" OFF)
find_program(NPU_FA_PYTHON NAMES python3 python)
add_custom_target(npu_fa_op_package
  COMMAND ${CMAKE_COMMAND} -E remove_directory ${op_package}
  COMMAND ${NPU_FA_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/tools/stage_op_package.py --toolkit ${ASCEND_HOME_PATH}
          --out ${op_package} --unit ${op_package_units} $<$<BOOL:${NPU_FA_VENDOR_NAMES}>:--vendor-names>
  COMMAND ${CMAKE_COMMAND} -E chdir ${op_package} bash build.sh
  COMMAND_EXPAND_LISTS VERBATIM)

if(NOT NPU_FA_BUILD_PYTHON)
  return()
endif()
if(NOT NPU_FA_TORCH_NPU_ROOT)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c
            "import importlib.util as u; s = u.find_spec('torch_npu'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE NPU_FA_TORCH_NPU_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
if(NOT TORCH_ROOT OR NOT EXISTS ${TORCH_ROOT}/include/torch/library.h)
  message(FATAL_ERROR "NPU_FA_SOC is ${NPU_FA_SOC}, but ${Python_EXECUTABLE} has no torch with headers (TORCH_ROOT)")
endif()
if(NOT NPU_FA_TORCH_NPU_ROOT OR NOT EXISTS ${NPU_FA_TORCH_NPU_ROOT}/include/torch_npu/csrc/core/npu/NPUStream.h)
  message(FATAL_ERROR "NPU_FA_SOC is ${NPU_FA_SOC}, but ${Python_EXECUTABLE} has no torch_npu with headers "
                      "(NPU_FA_TORCH_NPU_ROOT)")
endif()
# One library with one C++ ABI, PyTorch's: the host's sources are compiled into it once more.
add_library(_npu MODULE python/csrc/bind_npu.cpp op_host/launch_npu.cpp ${NPU_FA_HOST_SOURCES})
target_include_directories(_npu PRIVATE op_host op_kernel)
target_include_directories(_npu SYSTEM PRIVATE ${NPU_FA_TORCH_NPU_ROOT}/include ${TORCH_ROOT}/include
                                               ${TORCH_ROOT}/include/torch/csrc/api/include)
target_compile_options(_npu PRIVATE ${NPU_FA_WARNINGS})
if(torch_abi STREQUAL "0")
  target_compile_definitions(_npu PRIVATE _GLIBCXX_USE_CXX11_ABI=0)
endif()
target_link_libraries(_npu PRIVATE ${TORCH_ROOT}/lib/libtorch_cpu.so ${TORCH_ROOT}/lib/libc10.so
                                   ${NPU_FA_TORCH_NPU_ROOT}/lib/libtorch_npu.so ${ASCENDCL} ${CMAKE_DL_LIBS})
# torch and torch_npu are imported first; their libraries are then found by name.
set_target_properties(_npu PROPERTIES PREFIX "" CXX_STANDARD 20 BUILD_WITH_INSTALL_RPATH ON
                                      INSTALL_RPATH "${TORCH_ROOT}/lib;${NPU_FA_TORCH_NPU_ROOT}/lib")
install(TARGETS _npu DESTINATION npu_flash_attention)
