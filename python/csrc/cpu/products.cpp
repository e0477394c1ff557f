// Matrix products from PyTorch: oneDNN's batch-reduce micro-kernels (ATen's brgemm), generated for the shape and the
// instruction set at hand.
//
// Which overloads of brgemm exist depends on the version of PyTorch, whether they work on the processor and on the
// build; so the first is asked at compile time, the second by a trial product.
#include "products.h"

#include <ATen/native/CPUBlas.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <type_traits>
#include <vector>

namespace npu_fa {
namespace {

namespace blas = at::native::cpublas;

template <class Element, class = void>
struct HasBrgemm : std::false_type {};
template <class Element>
struct HasBrgemm<Element, std::void_t<decltype(blas::brgemm(int64_t{}, int64_t{}, int64_t{}, int64_t{}, int64_t{},
                                                            int64_t{}, true, static_cast<const Element*>(nullptr),
                                                            static_cast<const Element*>(nullptr),
                                                            static_cast<float*>(nullptr), true))>> : std::true_type {};

template <class Element>
void Brgemm(const Shape& s, bool add, const Element* a, const Element* b, float* c) {
  if constexpr (HasBrgemm<Element>::value) {
    constexpr bool kPaired = sizeof(Element) == 2;
    blas::brgemm(s.m, s.n, s.k, s.a_row, s.b_row, s.c_row, add, a, b, c, kPaired);
  }
}

void BrgemmBFloat16(const Shape& s, bool add, const uint16_t* a, const uint16_t* b, float* c) {
  Brgemm(s, add, reinterpret_cast<const at::BFloat16*>(a), reinterpret_cast<const at::BFloat16*>(b), c);
}

void BrgemmFloat32(const Shape& s, bool add, const float* a, const float* b, float* c) { Brgemm(s, add, a, b, c); }

void Release() {
  if constexpr (HasBrgemm<float>::value || HasBrgemm<at::BFloat16>::value) blas::brgemm_release();
}

void Nothing() {}

// True when brgemm multiplies two small integer matrices exactly, with and without adding.
template <class Element>
bool BrgemmWorks() {
  if constexpr (!HasBrgemm<Element>::value) return false;
  constexpr int64_t kM = 8, kN = 16, kK = 6;
  const auto left = [](int64_t i, int64_t k) { return static_cast<float>((i * 3 + k) % 7 - 3); };
  const auto right = [](int64_t k, int64_t j) { return static_cast<float>((k * 5 + j) % 9 - 4); };
  constexpr bool kPaired = sizeof(Element) == 2;
  std::vector<Element> a(kM * kK), b(kK * kN);
  std::vector<float> c(kM * kN, 1.0f);
  for (int64_t k = 0; k < kK; ++k) {
    for (int64_t i = 0; i < kM; ++i) a[i * kK + k] = left(i, k);
    for (int64_t j = 0; j < kN; ++j) b[kPaired ? (k / 2 * kN + j) * 2 + k % 2 : k * kN + j] = right(k, j);
  }
  try {
    Brgemm<Element>({kM, kN, kK, kK, kN, kN}, true, a.data(), b.data(), c.data());
    Release();
  } catch (const std::exception&) {
    return false;
  }
  for (int64_t i = 0; i < kM; ++i)
    for (int64_t j = 0; j < kN; ++j) {
      float expected = 1.0f;
      for (int64_t k = 0; k < kK; ++k) expected += left(i, k) * right(k, j);
      if (c[i * kN + j] != expected) return false;
    }
  return true;
}

// NPU_FA_CPU_PRODUCTS=plain leaves all products to the kernels, for tests and reports.
Products Choose() {
  const char* wanted = std::getenv("NPU_FA_CPU_PRODUCTS");
  if (wanted && std::string(wanted) == "plain") return {nullptr, nullptr, &Nothing};
  const bool bfloat16 = BrgemmWorks<at::BFloat16>(), float32 = BrgemmWorks<float>();
  return {bfloat16 ? &BrgemmBFloat16 : nullptr, float32 ? &BrgemmFloat32 : nullptr,
          bfloat16 || float32 ? &Release : &Nothing};
}

}  // namespace

const Products& MachineProducts() {
  static const Products products = Choose();
  return products;
}

}  // namespace npu_fa
