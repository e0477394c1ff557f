// The compiled core as Python sees it: BuildProblem, the problem's fields, and the rules of semantics.h evaluated on
// tiles of scores. Knows numpy arrays, nothing of torch.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>

#include "launch.h"
#include "problem_builder.h"
#include "require.h"
#include "scalar.h"
#include "semantics.h"

namespace py = pybind11;

namespace npu_fa {
namespace {

// (data pointer or 0, dtype name, sizes, strides)
TensorArgument TensorFromTuple(const py::tuple& t) {
  TensorArgument tensor;
  tensor.data = reinterpret_cast<const void*>(t[0].cast<uintptr_t>());
  tensor.dtype = t[1].cast<std::string>();
  tensor.sizes = t[2].cast<std::vector<int64_t>>();
  tensor.strides = t[3].cast<std::vector<int64_t>>();
  return tensor;
}

std::optional<TensorArgument> OptionalTensor(const py::object& t) {
  if (t.is_none()) return std::nullopt;
  return TensorFromTuple(t.cast<py::tuple>());
}

std::optional<std::vector<int64_t>> OptionalList(const py::object& values) {
  if (values.is_none()) return std::nullopt;
  return values.cast<std::vector<int64_t>>();
}

Entry EntryFromName(const std::string& name) {
  if (name == "forward") return Entry::kForward;
  if (name == "forward_v2") return Entry::kForwardV2;
  if (name == "backward") return Entry::kBackward;
  if (name == "backward_v2") return Entry::kBackwardV2;
  throw py::value_error("entry: expected forward, forward_v2, backward or backward_v2, got " + name);
}

Arguments ArgumentsFromDict(const py::dict& d) {
  Arguments a;
  a.entry = EntryFromName(d["entry"].cast<std::string>());
  a.query = TensorFromTuple(d["query"]);
  a.key = TensorFromTuple(d["key"]);
  a.value = TensorFromTuple(d["value"]);
  a.head_num = d["head_num"].cast<int64_t>();
  a.input_layout = d["input_layout"].cast<std::string>();
  a.pse = OptionalTensor(d["pse"]);
  a.atten_mask = OptionalTensor(d["atten_mask"]);
  a.query_rope = OptionalTensor(d["query_rope"]);
  a.key_rope = OptionalTensor(d["key_rope"]);
  a.sink = OptionalTensor(d["sink"]);
  a.dropout_mask = OptionalTensor(d["dropout_mask"]);
  a.scale = d["scale"].cast<double>();
  a.keep_prob = d["keep_prob"].cast<double>();
  a.pre_tokens = d["pre_tokens"].cast<int64_t>();
  a.next_tokens = d["next_tokens"].cast<int64_t>();
  a.prefix = OptionalList(d["prefix"]);
  a.actual_seq_qlen = OptionalList(d["actual_seq_qlen"]);
  a.actual_seq_kvlen = OptionalList(d["actual_seq_kvlen"]);
  a.q_start_idx = OptionalList(d["q_start_idx"]);
  a.kv_start_idx = OptionalList(d["kv_start_idx"]);
  a.sparse_mode = d["sparse_mode"].cast<int64_t>();
  a.pse_type = d["pse_type"].cast<int64_t>();
  a.softmax_layout = d["softmax_layout"].cast<std::string>();
  a.seed = d["seed"].cast<int64_t>();
  a.offset = d["offset"].cast<int64_t>();
  a.dy = OptionalTensor(d["dy"]);
  a.softmax_max = OptionalTensor(d["softmax_max"]);
  a.softmax_sum = OptionalTensor(d["softmax_sum"]);
  a.attention_in = OptionalTensor(d["attention_in"]);
  return a;
}

// A rectangle of scores of some heads of one sequence.
struct Tile {
  Range heads, rows, columns;

  std::vector<py::ssize_t> Shape() const {
    return {heads.end - heads.begin, rows.end - rows.begin, columns.end - columns.begin};
  }
};

Range RangeFromPair(const std::pair<int64_t, int64_t>& pair) { return {pair.first, pair.second}; }

// Calls visit(position in the tile, head, row, column) for each score of the tile, columns fastest.
template <class Visit>
void ForEachScore(const Tile& tile, Visit visit) {
  int64_t position = 0;
  for (int64_t head = tile.heads.begin; head < tile.heads.end; ++head)
    for (int64_t q = tile.rows.begin; q < tile.rows.end; ++q)
      for (int64_t k = tile.columns.begin; k < tile.columns.end; ++k) visit(position++, head, q, k);
}

void RequireReadable(const void* data, const char* what) {
  if (!data) throw std::runtime_error(std::string(what) + ": the content of this problem cannot be read on the host");
}

// True where a score is visible; None where all of the tile is. One head stands for all where none differs.
py::object VisibleTile(const HostProblem& built, const Sequence& s, Tile tile) {
  const AttentionProblem& p = built.problem;
  const bool band_hides = !FullyVisible(s.band, tile.rows, tile.columns);
  if (!band_hides && !p.mask.present) return py::none();
  if (!p.mask.present || p.mask.head_stride == 0) tile.heads.end = tile.heads.begin + 1;
  py::array_t<bool> visible(tile.Shape());
  bool* out = visible.mutable_data();
  const auto* mask = static_cast<const uint8_t*>(built.mask);
  if (p.mask.present) RequireReadable(mask, "atten_mask");
  ForEachScore(tile, [&](int64_t at, int64_t head, int64_t q, int64_t k) {
    out[at] = (!band_hides || Visible(s.band, q, k)) && !(p.mask.present && mask[MaskOffset(p, s, head, q, k)]);
  });
  return visible;
}

template <class Real>
py::array BiasTile(const HostProblem& built, const Sequence& s, const Tile& tile) {
  const AttentionProblem& p = built.problem;
  RequireReadable(built.bias, "pse");
  py::array_t<Real> bias(tile.Shape());
  Real* out = bias.mutable_data();
  const bool slope = BiasIsSlope(p.bias.kind), root = p.bias.kind == BiasKind::kSlopeSqrt;
  ForEachScore(tile, [&](int64_t at, int64_t head, int64_t q, int64_t k) {
    const Real value = static_cast<Real>(LoadScalar(p.bias.dtype, built.bias, BiasOffset(p, s, head, q, k)));
    const Real distance = slope ? static_cast<Real>(SlopeDistance(s, q, k)) : Real{0};
    out[at] = slope ? -value * (root ? std::sqrt(distance) : distance) : value;
  });
  return bias;
}

// gradient[element of pse] += the gradients of the scores of the tile that read it.
template <class Real>
void AddBiasGradient(const HostProblem& built, const Sequence& s, const Tile& tile,
                     const py::array_t<Real, py::array::c_style>& score_gradient, py::array_t<Real>& gradient) {
  const AttentionProblem& p = built.problem;
  const Real* in = score_gradient.data();
  Real* out = gradient.mutable_data();
  const bool slope = BiasIsSlope(p.bias.kind), root = p.bias.kind == BiasKind::kSlopeSqrt;
  ForEachScore(tile, [&](int64_t at, int64_t head, int64_t q, int64_t k) {
    const Real distance = slope ? static_cast<Real>(SlopeDistance(s, q, k)) : Real{0};
    out[BiasOffset(p, s, head, q, k)] += slope ? -in[at] * (root ? std::sqrt(distance) : distance) : in[at];
  });
}

// True where dropout keeps a score.
py::array KeptTile(const HostProblem& built, const Sequence& s, const Tile& tile) {
  const Dropout& d = built.problem.dropout;
  py::array_t<bool> kept(tile.Shape());
  bool* out = kept.mutable_data();
  if (d.kind == DropoutKind::kBits) {
    RequireReadable(built.drop_bits, "dropout_mask");
    const auto* bits = static_cast<const uint8_t*>(built.drop_bits);
    ForEachScore(tile, [&](int64_t at, int64_t head, int64_t q, int64_t k) {
      out[at] = KeepPackedBit(bits, DropBit(s, head, q, k));
    });
    return kept;
  }
  int64_t group = -1;
  PhiloxBlock words = {};
  ForEachScore(tile, [&](int64_t at, int64_t head, int64_t q, int64_t k) {
    const int64_t bit = DropBit(s, head, q, k);
    if (bit / 4 != group) words = DropoutWords(d.seed, d.offset, group = bit / 4);
    out[at] = KeepWord(d, words.word[bit % 4]);
  });
  return kept;
}

// numels bits rounded up to a multiple of 128, LSB first, 1 = keep; the padding comes from the stream like the rest.
py::array_t<uint8_t> DropoutGenMask(int64_t numels, double drop_prob, int64_t seed, int64_t offset) {
  const int64_t bytes = (numels + 127) / 128 * 16;
  py::array_t<uint8_t> mask(bytes);
  uint8_t* out = mask.mutable_data();
  std::memset(out, drop_prob == 0.0 ? 0xFF : 0, bytes);
  if (drop_prob == 0.0 || drop_prob == 1.0) return mask;
  const float keep_below = KeepBelow(1.0 - drop_prob);
  for (int64_t bit = 0; bit < bytes * 8; bit += 4) {
    const PhiloxBlock words = DropoutWords(seed, offset, bit / 4);
    for (int64_t i = 0; i < 4; ++i) out[bit / 8] |= (UniformFromWord(words.word[i]) < keep_below) << (bit % 8 + i);
  }
  return mask;
}

const char* BiasKindName(BiasKind kind) {
  constexpr const char* kNames[] = {"none",     "strided",      "packed", "packed_row",
                                    "diagonal", "diagonal_tnd", "slope",  "slope_sqrt"};
  return kNames[static_cast<int>(kind)];
}

const char* DropoutKindName(DropoutKind kind) {
  constexpr const char* kNames[] = {"none", "bits", "philox"};
  return kNames[static_cast<int>(kind)];
}

py::tuple StridesTuple(const Strides& s) { return py::make_tuple(s.batch, s.row, s.head); }

void BindSequence(py::module_& m) {
  py::class_<Sequence>(m, "Sequence", "One attention of q_len rows over kv_len columns.")
      .def_readonly("batch", &Sequence::batch)
      .def_readonly("q_start", &Sequence::q_start)
      .def_readonly("q_len", &Sequence::q_len)
      .def_readonly("kv_start", &Sequence::kv_start)
      .def_readonly("kv_len", &Sequence::kv_len)
      .def_readonly("statistic_start", &Sequence::statistic_start)
      .def_readonly("position_shift", &Sequence::position_shift)
      .def_property_readonly("band",
                             [](const Sequence& s) { return py::make_tuple(s.band.lo, s.band.hi, s.band.prefix); })
      .def(
          "visible_kv",
          [](const Sequence& s, int64_t q_begin, int64_t q_end) {
            const Range r = VisibleKv(s, q_begin, q_end);
            return std::pair(r.begin, r.end);
          },
          py::arg("q_begin"), py::arg("q_end"), "Columns that rows [q_begin, q_end) may see.")
      .def(
          "visible_q",
          [](const Sequence& s, int64_t k_begin, int64_t k_end) {
            const Range r = VisibleQ(s, k_begin, k_end);
            return std::pair(r.begin, r.end);
          },
          py::arg("k_begin"), py::arg("k_end"), "Rows that may see some of columns [k_begin, k_end).")
      .def("visible_area", &VisibleArea, "Number of (row, column) pairs the band leaves visible.");
}

using Pair = std::pair<int64_t, int64_t>;

void BindProblem(py::module_& m) {
  const auto tile_args = [](Pair heads, Pair rows, Pair columns) {
    return Tile{RangeFromPair(heads), RangeFromPair(rows), RangeFromPair(columns)};
  };
  py::class_<HostProblem>(m, "Problem", "A validated call of the operator (AttentionProblem and its sequences).")
      .def_property_readonly("sequences", [](const HostProblem& b) { return b.sequences; })
      .def_property_readonly("q_heads", [](const HostProblem& b) { return b.problem.q_heads; })
      .def_property_readonly("kv_heads", [](const HostProblem& b) { return b.problem.kv_heads; })
      .def_property_readonly("head_dim", [](const HostProblem& b) { return b.problem.head_dim; })
      .def_property_readonly("value_dim", [](const HostProblem& b) { return b.problem.value_dim; })
      .def_property_readonly("rope_dim", [](const HostProblem& b) { return b.problem.rope_dim; })
      .def_property_readonly("scale", [](const HostProblem& b) { return b.problem.scale; })
      .def_property_readonly("has_sink", [](const HostProblem& b) { return b.problem.has_sink != 0; })
      .def_property_readonly("has_mask", [](const HostProblem& b) { return b.problem.mask.present; })
      .def_property_readonly("statistics_by_token",
                             [](const HostProblem& b) { return b.problem.statistics_by_token != 0; })
      .def_property_readonly("statistic_rows", [](const HostProblem& b) { return b.problem.statistic_rows; })
      .def_property_readonly("drop_bits", [](const HostProblem& b) { return b.problem.drop_bits; })
      .def_property_readonly("bias_kind", [](const HostProblem& b) { return BiasKindName(b.problem.bias.kind); })
      .def_property_readonly("bias_before_scale",
                             [](const HostProblem& b) { return b.problem.bias.order == BiasOrder::kAddThenScale; })
      .def_property_readonly("dropout_kind",
                             [](const HostProblem& b) { return DropoutKindName(b.problem.dropout.kind); })
      .def_property_readonly("keep_prob", [](const HostProblem& b) { return b.problem.dropout.keep_prob; })
      .def_property_readonly("kept_weight", [](const HostProblem& b) { return KeptWeight(b.problem.dropout); })
      .def_property_readonly(
          "strides",
          [](const HostProblem& b) {
            const AttentionProblem& p = b.problem;
            py::dict d;
            d["query"] = StridesTuple(p.q);
            d["key"] = StridesTuple(p.k);
            d["value"] = StridesTuple(p.v);
            d["query_rope"] = StridesTuple(p.q_rope);
            d["key_rope"] = StridesTuple(p.k_rope);
            d["dq"] = StridesTuple(p.dq);
            d["dk"] = StridesTuple(p.dk);
            d["dv"] = StridesTuple(p.dv);
            d["dq_rope"] = StridesTuple(p.dq_rope);
            d["dk_rope"] = StridesTuple(p.dk_rope);
            d["out"] = StridesTuple(p.out);
            return d;
          },
          "Element strides (batch, row, head) by tensor name.")
      .def("kv_head", [](const HostProblem& b, int64_t head) { return KvHead(b.problem, head); })
      .def(
          "visible",
          [=](const HostProblem& b, const Sequence& s, Pair heads, Pair rows, Pair columns) {
            return VisibleTile(b, s, tile_args(heads, rows, columns));
          },
          py::arg("sequence"), py::arg("heads"), py::arg("rows"), py::arg("columns"),
          "bool [heads or 1, rows, columns], or None where everything is visible.")
      .def(
          "bias",
          [=](const HostProblem& b, const Sequence& s, Pair heads, Pair rows, Pair columns) {
            const Tile tile = tile_args(heads, rows, columns);
            return b.problem.dtype == DType::kFloat64 ? BiasTile<double>(b, s, tile) : BiasTile<float>(b, s, tile);
          },
          py::arg("sequence"), py::arg("heads"), py::arg("rows"), py::arg("columns"),
          "float32 (float64 for float64 problems) [heads, rows, columns].")
      .def(
          "add_bias_gradient",
          [=](const HostProblem& b, const Sequence& s, Pair heads, Pair rows, Pair columns, py::array score_gradient,
              py::array gradient) {
            const Tile tile = tile_args(heads, rows, columns);
            if (b.problem.dtype == DType::kFloat64) {
              py::array_t<double> out = gradient.cast<py::array_t<double>>();
              AddBiasGradient<double>(b, s, tile, score_gradient, out);
            } else {
              py::array_t<float> out = gradient.cast<py::array_t<float>>();
              AddBiasGradient<float>(b, s, tile, score_gradient, out);
            }
          },
          py::arg("sequence"), py::arg("heads"), py::arg("rows"), py::arg("columns"), py::arg("score_gradient"),
          py::arg("gradient"), "Adds a tile of score gradients to the flat gradient of pse.")
      .def(
          "kept",
          [=](const HostProblem& b, const Sequence& s, Pair heads, Pair rows, Pair columns) {
            return KeptTile(b, s, tile_args(heads, rows, columns));
          },
          py::arg("sequence"), py::arg("heads"), py::arg("rows"), py::arg("columns"),
          "bool [heads, rows, columns]: scores that dropout keeps.");
}

py::tuple PlanTuple(const LaunchPlan& plan) {
  return py::make_tuple(py::bytes(reinterpret_cast<const char*>(plan.blob.data()), plan.blob.size()),
                        plan.workspace_bytes);
}

// AttentionError arrives in Python as npu_flash_attention.errors.AttentionError with its status.
void TranslateAttentionError(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const AttentionError& e) {
    const py::object type = py::module_::import("npu_flash_attention.errors").attr("AttentionError");
    const py::object error = type(e.what(), static_cast<int>(e.status()));
    PyErr_SetObject(type.ptr(), error.ptr());
  }
}

}  // namespace
}  // namespace npu_fa

PYBIND11_MODULE(_C, m) {
  using namespace npu_fa;
  m.doc() = "Compiled core of npu_flash_attention: the problem builder and the rules of attention.";
  py::register_exception_translator(&TranslateAttentionError);
  BindSequence(m);
  BindProblem(m);
  m.def(
      "build_problem",
      [](const py::dict& arguments, const py::object&) { return BuildProblem(ArgumentsFromDict(arguments)); },
      py::arg("arguments"), py::arg("tensors") = py::none(), py::keep_alive<0, 2>(),
      "Validates a call and returns its Problem, which keeps `tensors` alive; raises AttentionError.");
  m.def("dropout_gen_mask", &DropoutGenMask, py::arg("numels"), py::arg("drop_prob"), py::arg("seed"),
        py::arg("offset"), "Packed dropout bits (uint8, LSB first, 1 = keep) of the operator's stream.");
  m.def(
      "plan_forward",
      [](const HostProblem& built, const std::string& soc) { return PlanTuple(PlanForward(built, FindPlatform(soc))); },
      py::arg("problem"), py::arg("soc"),
      "(argument blob, bytes of work space) of the forward on a chip; raises ValueError where it cannot run.");
  m.def(
      "plan_backward",
      [](const HostProblem& built, const std::string& soc, bool deterministic) {
        return PlanTuple(PlanBackward(built, FindPlatform(soc), 0, deterministic));
      },
      py::arg("problem"), py::arg("soc"), py::arg("deterministic"), "As plan_forward, of the backward.");
  m.def(
      "platforms",
      [] {
        std::vector<std::string> names;
        for (const Platform& platform : Platforms()) names.push_back(platform.name);
        return names;
      },
      "The chips there are plans for, as the toolkit names them.");
  m.def(
      "generated_drop_bits",
      [](const HostProblem& built) {
        const std::vector<uint8_t> bits = GeneratedDropBits(built.problem);
        return py::array_t<uint8_t>(static_cast<py::ssize_t>(bits.size()), bits.data());
      },
      py::arg("problem"), "The problem's dropout stream as packed bits (uint8, LSB first, 1 = keep).");
  m.attr("EMPTY_ROW_MAX") = kEmptyRowMax;
  m.attr("EMPTY_ROW_SUM") = kEmptyRowSum;
}
