// An integer parameter with the width the instruction encodes. The device truncates in silence; this is a fault.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "machine/location.h"

namespace ascend_sim {

[[noreturn]] void FailEncoding(long long value, long long highest, Location where);

template <typename Width>
class Encoded {
 public:
  Encoded() = default;
  template <typename T, typename = std::enable_if_t<std::is_arithmetic_v<T> || std::is_enum_v<T>>>
  Encoded(T value, Location where = Location::Here())  // NOLINT: implicit, as the plain integer it stands for
      : value_(static_cast<Width>(value)) {
    const auto wide = static_cast<long long>(value);
    constexpr auto kHighest = static_cast<long long>(std::numeric_limits<Width>::max());
    if (wide < 0 || wide > kHighest) [[unlikely]]
      FailEncoding(wide, kHighest, where);
  }
  operator Width() const { return value_; }  // NOLINT: implicit

 private:
  Width value_ = 0;
};

}  // namespace ascend_sim
