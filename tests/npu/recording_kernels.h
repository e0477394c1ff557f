// What recording_kernels.cpp and launch_npu_test.cpp agree about.
#pragma once

#include <cstddef>
#include <cstdint>

constexpr size_t kRecordedBytes = 4000;  // of the blob
constexpr uint32_t kRefusedCores = 13;   // a launch on so many cores is refused
constexpr uint32_t kRefusal = 507000;
