// The one way the host side refuses a call: a message in the caller's words and the aclnn status that goes with it.
#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace npu_fa {

enum class Status : int32_t {
  kParamNull = 161001,     // a required tensor is missing
  kParamInvalid = 161002,  // refused by the argument checks of the vendor's first phase
  kTilingError = 561002,   // refused by the vendor's tiling
  kRuntimeError = 361001,  // the runtime refused: a stream, memory
  kInnerError = 561000,    // anything else
};

class AttentionError : public std::invalid_argument {
 public:
  AttentionError(Status status, const std::string& message) : std::invalid_argument(message), status_(status) {}
  Status status() const { return status_; }

 private:
  Status status_;
};

inline std::ostream& operator<<(std::ostream& out, const std::vector<int64_t>& values) {
  out << '[';
  for (size_t i = 0; i < values.size(); ++i) out << (i ? ", " : "") << values[i];
  return out << ']';
}

template <class... Parts>
std::string Text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
void Require(bool condition, Status status, const Parts&... message) {
  if (!condition) throw AttentionError(status, Text(message...));
}

// a * b * ... in 64 bits, or a refusal that shows the numbers.
inline int64_t CheckedProduct(const std::string& what, const std::vector<int64_t>& factors) {
  int64_t product = 1;
  for (int64_t factor : factors)
    Require(!__builtin_mul_overflow(product, factor, &product), Status::kTilingError, what,
            ": expected a product that fits in 64 bits, got ", factors);
  return product;
}

inline int64_t CheckedSum(const std::string& what, int64_t a, int64_t b) {
  int64_t sum = 0;
  Require(!__builtin_add_overflow(a, b, &sum), Status::kTilingError, what,
          ": expected a sum that fits in 64 bits, got ", a, " + ", b);
  return sum;
}

}  // namespace npu_fa
