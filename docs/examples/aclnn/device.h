// What the three examples share: a session on a device, tensors in its memory, attention in double precision.
#pragma once

#include <acl/acl.h>
#include <aclnn/acl_meta.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

inline void Check(int status, const char* what) {
  if (status == 0) return;
  const char* message = aclGetRecentErrMsg();
  throw std::runtime_error(std::string(what) + ": status " + std::to_string(status) + ": " + (message ? message : ""));
}

// A device and a stream on it.
class Session {
 public:
  Session() {
    Check(aclInit(nullptr), "aclInit");
    Check(aclrtSetDevice(0), "aclrtSetDevice");
    Check(aclrtCreateStream(&stream_), "aclrtCreateStream");
  }
  ~Session() {
    aclrtDestroyStream(stream_);
    aclrtResetDevice(0);
    aclFinalize();
  }
  aclrtStream Stream() const { return stream_; }

 private:
  aclrtStream stream_ = nullptr;
};

class DeviceMemory {
 public:
  explicit DeviceMemory(uint64_t bytes) {
    if (bytes > 0) Check(aclrtMalloc(&data_, bytes, ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc");
  }
  DeviceMemory(const DeviceMemory&) = delete;
  ~DeviceMemory() {
    if (data_ != nullptr) aclrtFree(data_);
  }
  void* Data() const { return data_; }

 private:
  void* data_ = nullptr;
};

inline uint16_t HalfBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
  if (magnitude < 0x38800000u) {  // below the smallest normal number: a multiple of 2^-24
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::lrintf(std::fabs(value) * 16777216.0f)));
  }
  const uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | std::min(0x7C00u, (rounded - 0x38000000u) >> 13));
}

inline float HalfValue(uint16_t half) {
  const float magnitude = (half & 0x7C00u) == 0
                              ? std::ldexp(static_cast<float>(half & 0x3FFu), -24)
                              : std::ldexp(static_cast<float>((half & 0x3FFu) | 0x400u), ((half >> 10) & 0x1F) - 25);
  return half & 0x8000u ? -magnitude : magnitude;
}

// A contiguous tensor in device memory. Values are floats on the host; float16 tensors round them on their way.
class DeviceTensor {
 public:
  DeviceTensor(const std::vector<int64_t>& sizes, aclDataType dtype)
      : elements_(Product(sizes)), dtype_(dtype), memory_(Bytes()) {
    std::vector<int64_t> strides(sizes.size(), 1);
    for (size_t axis = sizes.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * sizes[axis];
    handle_ = aclCreateTensor(sizes.data(), sizes.size(), dtype, strides.data(), 0, ACL_FORMAT_ND, sizes.data(),
                              sizes.size(), memory_.Data());
    if (handle_ == nullptr) throw std::runtime_error("aclCreateTensor");
  }
  ~DeviceTensor() { aclDestroyTensor(handle_); }
  const aclTensor* Handle() const { return handle_; }

  // Returns the values as they were rounded.
  std::vector<float> Upload(std::vector<float> values) {
    std::vector<uint8_t> bytes(Bytes());
    for (size_t i = 0; i < elements_; ++i) {
      if (dtype_ == ACL_FLOAT16) {
        const uint16_t half = HalfBits(values[i]);
        values[i] = HalfValue(half);
        std::memcpy(&bytes[2 * i], &half, 2);
      } else if (dtype_ == ACL_FLOAT) {
        std::memcpy(&bytes[4 * i], &values[i], 4);
      } else {
        bytes[i] = static_cast<uint8_t>(values[i]);
      }
    }
    Check(aclrtMemcpy(memory_.Data(), bytes.size(), bytes.data(), bytes.size(), ACL_MEMCPY_HOST_TO_DEVICE), "upload");
    return values;
  }
  std::vector<float> Download() const {
    std::vector<uint8_t> bytes(Bytes());
    Check(aclrtMemcpy(bytes.data(), bytes.size(), memory_.Data(), bytes.size(), ACL_MEMCPY_DEVICE_TO_HOST), "download");
    std::vector<float> values(elements_);
    for (size_t i = 0; i < elements_; ++i) {
      uint16_t half = 0;
      if (dtype_ == ACL_FLOAT16) {
        std::memcpy(&half, &bytes[2 * i], 2);
        values[i] = HalfValue(half);
      } else {
        std::memcpy(&values[i], &bytes[4 * i], 4);
      }
    }
    return values;
  }

 private:
  static size_t Product(const std::vector<int64_t>& sizes) {
    size_t product = 1;
    for (const int64_t size : sizes) product *= static_cast<size_t>(size);
    return product;
  }
  size_t Bytes() const { return elements_ * (dtype_ == ACL_FLOAT ? 4 : dtype_ == ACL_FLOAT16 ? 2 : 1); }

  size_t elements_;
  aclDataType dtype_;
  DeviceMemory memory_;
  aclTensor* handle_ = nullptr;
};

// Numbers between -1 and 1, the same on every machine.
inline std::vector<float> RandomValues(size_t count, uint32_t seed) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(seed >> 8) / 8388608.0f - 1.0f;
  }
  return values;
}

// One head of attention, rows x columns, in double precision. `hidden(i, j)` says which scores are masked out.
struct Head {
  std::vector<double> out, row_max, row_sum, probability;

  template <class Hidden>
  Head(const float* q, const float* k, const float* v, int rows, int columns, int depth, double scale, Hidden hidden)
      : out(rows * depth), row_max(rows), row_sum(rows), probability(rows * columns) {
    for (int i = 0; i < rows; ++i) {
      std::vector<double> score(columns, -INFINITY);
      for (int j = 0; j < columns; ++j) {
        if (hidden(i, j)) continue;
        score[j] = 0;
        for (int d = 0; d < depth; ++d) score[j] += static_cast<double>(q[i * depth + d]) * k[j * depth + d];
        score[j] *= scale;
      }
      row_max[i] = *std::max_element(score.begin(), score.end());
      for (const double s : score) row_sum[i] += std::exp(s - row_max[i]);
      for (int j = 0; j < columns; ++j) {
        const double p = std::exp(score[j] - row_max[i]) / row_sum[i];
        probability[i * columns + j] = p;
        for (int d = 0; d < depth; ++d) out[i * depth + d] += p * v[j * depth + d];
      }
    }
  }
};

// Prints the largest difference; throws where it is more than `tolerance`.
template <class Expected>
void Compare(const char* name, const float* got, const std::vector<Expected>& expected, double tolerance) {
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, std::fabs(got[i] - double(expected[i])));
  std::printf("%s: largest difference %.2e\n", name, worst);
  if (!(worst <= tolerance)) throw std::runtime_error(std::string(name) + " differs");
}
