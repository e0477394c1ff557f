#include "instructions/mmad_kernel.h"

#include <algorithm>
#include <vector>

#include "instructions/number_formats.h"

namespace ascend_sim {
namespace {

constexpr int kFractal = 16;
constexpr int kTileRows = 8;  // eight accumulators of 16 lanes hide the latency of an add

typedef float Lanes __attribute__((vector_size(64)));

int CeilDiv(int value, int divisor) { return (value + divisor - 1) / divisor; }

// c[rows][16] += a[rows][k] * b[k][16]; a and c have the given strides.
template <int kRows>
[[gnu::always_inline]] inline void TileProduct(const float* a, int a_stride, const float* b, int k, float* c,
                                               int c_stride) {
  Lanes sum[kRows];
  for (int row = 0; row < kRows; ++row) __builtin_memcpy(&sum[row], c + row * c_stride, sizeof(Lanes));
  for (int i = 0; i < k; ++i) {
    Lanes column;
    __builtin_memcpy(&column, b + i * kFractal, sizeof(Lanes));
    for (int row = 0; row < kRows; ++row) {
      const Lanes product = column * a[row * a_stride + i];
      sum[row] = sum[row] + product;
    }
  }
  for (int row = 0; row < kRows; ++row) __builtin_memcpy(c + row * c_stride, &sum[row], sizeof(Lanes));
}

[[gnu::always_inline]] inline void PanelProductBody(const float* a, int a_stride, const float* b, int rows, int k,
                                                    float* c) {
  int row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) {
    TileProduct<kTileRows>(a + row * a_stride, a_stride, b, k, c + row * kFractal, kFractal);
  }
  for (; row < rows; ++row) TileProduct<1>(a + row * a_stride, a_stride, b, k, c + row * kFractal, kFractal);
}

using PanelProduct = void (*)(const float* a, int a_stride, const float* b, int rows, int k, float* c);

void PanelProductPlain(const float* a, int a_stride, const float* b, int rows, int k, float* c) {
  PanelProductBody(a, a_stride, b, rows, k, c);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void PanelProductAvx2(const float* a, int a_stride, const float* b, int rows, int k, float* c) {
  PanelProductBody(a, a_stride, b, rows, k, c);
}

[[gnu::target("avx512f")]] void PanelProductAvx512(const float* a, int a_stride, const float* b, int rows, int k,
                                                   float* c) {
  PanelProductBody(a, a_stride, b, rows, k, c);
}

PanelProduct ChoosePanelProduct() {
  if (__builtin_cpu_supports("avx512f")) return PanelProductAvx512;
  if (__builtin_cpu_supports("avx2")) return PanelProductAvx2;
  return PanelProductPlain;
}
#else
PanelProduct ChoosePanelProduct() { return PanelProductPlain; }
#endif

const PanelProduct panel_product = ChoosePanelProduct();

template <CubeInput kInput>
float LoadElement(const void* base, size_t index) {
  if constexpr (kInput == CubeInput::kHalf) {
    return HalfBitsToFloat(static_cast<const uint16_t*>(base)[index]);
  } else if constexpr (kInput == CubeInput::kBfloat16) {
    return BfloatBitsToFloat(static_cast<const uint16_t*>(base)[index]);
  } else {
    const float value = static_cast<const float*>(base)[index];
    if constexpr (kInput == CubeInput::kFloat) return value;
    return FloatToHf32(value, kInput == CubeInput::kHf32Zero);
  }
}

// Panels of one call; a thread keeps its memory between calls.
struct Panels {
  std::vector<float> a;  // [m][k]
  std::vector<float> b;  // [n1][k][16]
};

template <CubeInput kInput>
void PackA(const void* a, const MmadShape& shape, float* panel) {
  constexpr int kDepth = kInput == CubeInput::kHalf || kInput == CubeInput::kBfloat16 ? 16 : 8;
  if (shape.gemv) {
    for (int i = 0; i < shape.k; ++i) panel[i] = LoadElement<kInput>(a, i);
    return;
  }
  for (int row = 0; row < shape.m; ++row) {
    float* out = panel + static_cast<size_t>(row) * shape.k;
    const size_t fractal_row = static_cast<size_t>(row / kFractal) * shape.a_k_blocks * kFractal * kDepth;
    const size_t base = fractal_row + static_cast<size_t>(row % kFractal) * kDepth;
    for (int k1 = 0; k1 * kDepth < shape.k; ++k1) {
      const size_t start = base + static_cast<size_t>(k1) * kFractal * kDepth;
      const int count = std::min(kDepth, shape.k - k1 * kDepth);
      for (int i = 0; i < count; ++i) out[k1 * kDepth + i] = LoadElement<kInput>(a, start + i);
    }
  }
}

template <CubeInput kInput>
void PackB(const void* b, const MmadShape& shape, float* panel) {
  constexpr int kDepth = kInput == CubeInput::kHalf || kInput == CubeInput::kBfloat16 ? 16 : 8;
  const int n_blocks = CeilDiv(shape.n, kFractal);
  for (int n1 = 0; n1 < n_blocks; ++n1) {
    const int columns = std::min(kFractal, shape.n - n1 * kFractal);
    float* out = panel + static_cast<size_t>(n1) * shape.k * kFractal;
    for (int k1 = 0; k1 * kDepth < shape.k; ++k1) {
      const size_t start = (static_cast<size_t>(k1) * n_blocks + n1) * kFractal * kDepth;
      const int count = std::min(kDepth, shape.k - k1 * kDepth);
      float fractal[kFractal * kDepth];
      for (int i = 0; i < columns * kDepth; ++i) fractal[i] = LoadElement<kInput>(b, start + i);
      for (int i = 0; i < count; ++i) {
        float* line = out + static_cast<size_t>(k1 * kDepth + i) * kFractal;
        for (int column = 0; column < columns; ++column) line[column] = fractal[column * kDepth + i];
        for (int column = columns; column < kFractal; ++column) line[column] = 0.0f;
      }
    }
  }
}

template <CubeInput kInput>
void Pack(const void* a, const void* b, const MmadShape& shape, Panels& panels) {
  panels.a.resize(static_cast<size_t>(shape.m) * shape.k);
  panels.b.resize(static_cast<size_t>(CeilDiv(shape.n, kFractal)) * kFractal * shape.k);
  PackA<kInput>(a, shape, panels.a.data());
  PackB<kInput>(b, shape, panels.b.data());
}

// Calls visit(row, column0, columns, pointer to C there) for each valid row segment of C.
template <typename T, typename Visit>
void ForEachRowOfC(T* c, const MmadShape& shape, Visit&& visit) {
  const int m_blocks = CeilDiv(shape.m, kFractal);
  for (int n1 = 0; n1 * kFractal < shape.n; ++n1) {
    const int columns = std::min(kFractal, shape.n - n1 * kFractal);
    for (int row = 0; row < shape.m; ++row) {
      visit(n1, row, columns, c + (static_cast<size_t>(n1) * m_blocks * kFractal + row) * kFractal);
    }
  }
}

}  // namespace

void MmadFloat(float* c, const void* a, const void* b, const float* bias, CubeInput input, const MmadShape& shape,
               AccumulatorSource source) {
  thread_local Panels panels;
  switch (input) {
    case CubeInput::kHalf:
      Pack<CubeInput::kHalf>(a, b, shape, panels);
      break;
    case CubeInput::kBfloat16:
      Pack<CubeInput::kBfloat16>(a, b, shape, panels);
      break;
    case CubeInput::kFloat:
      Pack<CubeInput::kFloat>(a, b, shape, panels);
      break;
    case CubeInput::kHf32Even:
      Pack<CubeInput::kHf32Even>(a, b, shape, panels);
      break;
    case CubeInput::kHf32Zero:
      Pack<CubeInput::kHf32Zero>(a, b, shape, panels);
      break;
  }
  if (source != AccumulatorSource::kL0C) {
    ForEachRowOfC(c, shape, [&](int n1, int, int columns, float* line) {
      for (int column = 0; column < columns; ++column) {
        line[column] = source == AccumulatorSource::kBias ? bias[n1 * kFractal + column] : 0.0f;
      }
    });
  }
  const int m_blocks = CeilDiv(shape.m, kFractal);
  for (int n1 = 0; n1 * kFractal < shape.n; ++n1) {
    const float* b_panel = panels.b.data() + static_cast<size_t>(n1) * shape.k * kFractal;
    float* c_strip = c + static_cast<size_t>(n1) * m_blocks * kFractal * kFractal;
    const int columns = std::min(kFractal, shape.n - n1 * kFractal);
    if (columns == kFractal) {
      panel_product(panels.a.data(), shape.k, b_panel, shape.m, shape.k, c_strip);
      continue;
    }
    for (int row = 0; row < shape.m; ++row) {  // the columns beyond n keep what they hold
      float line[kFractal] = {};
      std::copy_n(c_strip + row * kFractal, columns, line);
      panel_product(panels.a.data() + static_cast<size_t>(row) * shape.k, shape.k, b_panel, 1, shape.k, line);
      std::copy_n(line, columns, c_strip + row * kFractal);
    }
  }
}

void MmadInt8(int32_t* c, const int8_t* a, const int8_t* b, const int32_t* bias, const MmadShape& shape,
              AccumulatorSource source) {
  constexpr int kDepth = 32;
  const int n_blocks = CeilDiv(shape.n, kFractal);
  ForEachRowOfC(c, shape, [&](int n1, int row, int columns, int32_t* line) {
    for (int column = 0; column < columns; ++column) {
      int64_t sum = source == AccumulatorSource::kL0C    ? line[column]
                    : source == AccumulatorSource::kBias ? bias[n1 * kFractal + column]
                                                         : 0;
      for (int i = 0; i < shape.k; ++i) {
        const int k1 = i / kDepth;
        const size_t fractal = static_cast<size_t>(row / kFractal) * shape.a_k_blocks + k1;
        const size_t left = shape.gemv ? i : (fractal * kFractal + row % kFractal) * kDepth + i % kDepth;
        const size_t right = ((static_cast<size_t>(k1) * n_blocks + n1) * kFractal + column) * kDepth + i % kDepth;
        sum += static_cast<int32_t>(a[left]) * b[right];
      }
      line[column] = Saturate<int32_t>(sum);
    }
  });
}

}  // namespace ascend_sim
