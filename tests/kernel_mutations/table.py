"""The bugs: what to replace in which file of op_kernel. Each text occurs once in its file."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutation:
    name: str
    what: str  # is wrong then
    file: str  # of op_kernel
    search: str
    replace: str
    backward: bool = False  # the battery runs the gradient
    dtype: str = "float16"  # the only one compiled
    deterministic: bool = False  # in the deterministic mode of the backward


FORWARD = (
    Mutation(
        "scores_wait_dropped",
        "the vector core does not wait for its scores",
        "forward.h",
        "AscendC::CrossCoreWaitFlag(kScoresReady);",
        "",
    ),
    Mutation(
        "products_flag_dropped",
        "the cube never says that P V is there",
        "forward.h",
        "AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_FIX>(kProductsReady);",
        "{}",
    ),
    Mutation(
        "result_event_dropped",
        "a product does not wait until its place in L0C has been stored",
        "cube.h",
        "if (first) AscendC::WaitFlag<HardEvent::FIX_M>(result);",
        "",
    ),
    Mutation(
        "barrier_missing",
        "no PipeBarrier between the exponentials and their sum",
        "online_softmax.h",
        "    AscendC::Exp(tile.x, tile.x, tile.Elements());\n    VectorBarrier();",
        "    AscendC::Exp(tile.x, tile.x, tile.Elements());",
    ),
    Mutation(
        "ring_too_short",
        "two stages share one slot of the scores",
        "handoff.h",
        "return scores_[InRing(stage, row, column)];",
        "return scores_[InRing(stage % (kRingSlots - 1), row, column)];",
    ),
    Mutation(
        "last_key_lost",
        "the last key of a piece is not loaded",
        "forward_operands.h",
        "Min(tiling_->key_piece, stage.columns.end - column)",
        "Min(tiling_->key_piece, stage.columns.end - column) - 1",
    ),
    Mutation(
        "value_beyond_the_end",
        "one value behind the last key is loaded",
        "value_stream.h",
        "stage.columns.begin + piece_ * tiling_->value_piece, Columns(stage, piece_));",
        "stage.columns.begin + piece_ * tiling_->value_piece, Columns(stage, piece_) + 1);",
    ),
    Mutation(
        "band_one_further",
        "each row sees one column more on the right",
        "score_modifiers.h",
        "high = place.row + band.hi - column",
        "high = place.row + band.hi - column + 1",
    ),
    Mutation(
        "window_one_shorter",
        "each row sees one column less on the left",
        "score_modifiers.h",
        "low = place.row + band.lo - column",
        "low = place.row + band.lo - column + 1",
    ),
    Mutation(
        "prefix_ignored",
        "columns that all rows see are treated like the others",
        "score_modifiers.h",
        "if (band.prefix > column) {",
        "if (false) {",
    ),
    Mutation(
        "mask_upside_down",
        "a dense mask hides what it should show",
        "score_modifiers.h",
        "AscendC::CMPMODE::EQ, tile.Elements()",
        "AscendC::CMPMODE::NE, tile.Elements()",
    ),
    Mutation(
        "scale_before_bias",
        "scale x s + pse where pse_type 1 wants scale x (s + pse)",
        "score_modifiers.h",
        "const Bias& bias = problem_->bias;\n    if (bias.order ==",
        "Bias bias = problem_->bias;\n    bias.order = BiasOrder::kScaleThenAdd;\n    if (bias.order ==",
    ),
    Mutation(
        "wrong_kv_head",
        "query heads are dealt to the key heads in turn",
        "semantics.h",
        "return q_head / (p.q_heads / p.kv_heads);",
        "return q_head % p.kv_heads;",
    ),
    Mutation(
        "kept_weight_missing",
        "dropout without 1 / keep_prob",
        "forward_output.h",
        "softmax.BeginNormalise(stage, tiling_->inverse_keep);",
        "softmax.BeginNormalise(stage, 1.0f);",
    ),
    Mutation(
        "drop_bits_not_shifted",
        "rows whose drop bits begin within a byte use those of the byte's begin",
        "drop_bits.h",
        "row % tile.rows * kv_len) % 8",
        "row % tile.rows * kv_len) % 8 * 0",
    ),
    Mutation(
        "old_sum_forgotten",
        "the sum of a row is that of its last stage",
        "online_softmax.h",
        "AscendC::MulAddDst(sum_[now_], before_sum_, factor_[now_], rows_);",
        "",
    ),
    Mutation(
        "output_not_rescaled",
        "O is not multiplied when the maximum of a row grows",
        "online_softmax.h",
        "AscendC::Sub(factor_[now_], negative_max_[now_], before_max_, rows_);",
        "AscendC::Sub(factor_[now_], before_max_, before_max_, rows_);",
    ),
    Mutation(
        "output_of_the_block_before",
        "a block starts from the O that the block before left",
        "online_softmax.h",
        "    if (first) {\n      AscendC::Adds(output, product",
        "    if (false) {\n      AscendC::Adds(output, product",
    ),
    Mutation(
        "empty_rows_not_cleared",
        "rows that see nothing are divided by their sum, which is 0",
        "online_softmax.h",
        "SelectOr(start_sum_, start_sum_, 0.0f);",
        "",
    ),
    Mutation(
        "sink_not_counted",
        "the sum starts without the sink",
        "online_softmax.h",
        "has_sink ? 1.0f : 0.0f",
        "0.0f",
    ),
    Mutation(
        "statistics_order",
        "statistics of layout TND are written head by head and the others token by token",
        "semantics.h",
        "(p.statistics_by_token ? q * p.q_heads + head : head * s.q_len + q)",
        "(!p.statistics_by_token ? q * p.q_heads + head : head * s.q_len + q)",
    ),
    Mutation(
        "slope_distance_unshifted",
        "slopes ignore q_start_idx and kv_start_idx",
        "score_modifiers.h",
        "column - place.row - row + place.sequence.position_shift",
        "column - place.row - row",
    ),
    Mutation(
        "depth_piece_repeated",
        "a head that takes two products multiplies its first half twice",
        "cube.h",
        "params.kStartPt = begin;",
        "params.kStartPt = 0;",
    ),
    Mutation(
        "rope_offset",
        "the rope part of Q and K is read where the rest lies",
        "head_tensor.h",
        "LoadStrips(l1[(first - begin) * l1_rows], rope_gm_[Offset(*rope_strides_,",
        "LoadStrips(l1[(first - begin) * l1_rows], rope_gm_[Offset(*strides_,",
        dtype="bfloat16",
    ),
    Mutation(
        "rows_beyond_the_last",
        "rows that pad a tile are written like queries",
        "schedule.h",
        "Larger(Smaller(end, queries) - begin, 0)",
        "Larger(end - begin, 0)",
    ),
)

BACKWARD = (
    Mutation(
        "weights_wait_dropped",
        "the cube does not wait for P and dS",
        "backward_cube.h",
        "AscendC::CrossCoreWaitFlag(kWeightsReady);",
        "{}",
    ),
    Mutation(
        "sums_flag_dropped",
        "the cube never says that dK and dV are summed",
        "backward_cube.h",
        "AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_FIX>(kSumsReady);",
        "",
    ),
    Mutation(
        "cores_not_awaited",
        "cores add to dK and dV before all have been cleared",
        "backward.h",
        "outputs_.ClearSums(boxes_, arguments.sequences, {number, numbers});\n    AscendC::SyncAll();",
        "outputs_.ClearSums(boxes_, arguments.sequences, {number, numbers});",
    ),
    Mutation(
        "gradient_barrier_missing",
        "no PipeBarrier between the exponentials and their product with dP - D",
        "backward.h",
        "AscendC::Exp(p.x, p.x, kBackwardTile);\n      VectorBarrier();",
        "AscendC::Exp(p.x, p.x, kBackwardTile);",
    ),
    Mutation(
        "keys_stored_not_added",
        "dK and dV of a tile of keys are stored where they should be added",
        "backward_cube.h",
        "key_count, columns, width, !first);",
        "key_count, columns, width, false);",
    ),
    Mutation(
        "last_group_only",
        "dQ is that of the last group of stages",
        "query_products.h",
        "(stored_ >> tile_ & 1) != 0",
        "false",
    ),
    Mutation(
        "last_tile_only",
        "dK and dV are those of the last tile of rows of a block",
        "backward_cube.h",
        "                     pair.place == 0);",
        "                     true);",
    ),
    Mutation(
        "gradients_of_the_wrong_head",
        "dK and dV go to the key heads in turn",
        "backward_cube.h",
        "SumRow(*problem_, *tiling_, block.sequence, kv_head, share, core_);",
        "SumRow(*problem_, *tiling_, block.sequence, block.head % problem_->kv_heads, share, core_);",
    ),
    Mutation(
        "batches_added_up",
        "dK and dV of all batches land on the first",
        "backward_schedule.h",
        "kv_head * t.kv_rows + s.batch * s.kv_len + s.kv_start;",
        "kv_head * t.kv_rows + s.kv_start;",
    ),
    Mutation(
        "gradient_ring_too_short",
        "dS is overwritten before the products of its group have read it",
        "backward_handoff.h",
        "return gradients_[stage % gradient_slots_ * elements_];",
        "return gradients_[stage % 2 * elements_];",
    ),
    Mutation(
        "d_not_subtracted",
        "dS = P * dP",
        "row_terms.h",
        "AscendC::Sub(total, total, row_sums_, kRowGroup);",
        "",
    ),
    Mutation(
        "d_of_the_first_columns",
        "D is taken from the first 128 columns of the output only",
        "row_terms.h",
        "begin < problem_->value_dim; begin += kColumns",
        "begin < 1; begin += kColumns",
    ),
    Mutation(
        "statistics_of_the_first_head",
        "all heads use the statistics of the first",
        "row_terms.h",
        "StatisticRow(*problem_, s, block.head, block.rows.begin);",
        "StatisticRow(*problem_, s, 0, block.rows.begin);",
    ),
    Mutation(
        "sum_ignored",
        "probabilities are not divided by the sum of their row",
        "row_terms.h",
        "AscendC::Ln(sum, sum, floats);",
        "AscendC::Duplicate(sum, 0.0f, floats);",
    ),
    Mutation(
        "dropped_scores_get_gradients",
        "dropout is not applied to dP",
        "backward.h",
        "drop_.Apply(ds);",
        "",
    ),
    Mutation(
        "dp_not_weighted",
        "dP without 1 / keep_prob",
        "backward.h",
        "AscendC::Duplicate(scales_[kBlockFloats], tiling_->inverse_keep, kBlockFloats);",
        "AscendC::Duplicate(scales_[kBlockFloats], 1.0f, kBlockFloats);",
    ),
    Mutation(
        "dv_not_weighted",
        "dV without 1 / keep_prob",
        "gradient_outputs.h",
        "value ? tiling_->inverse_keep",
        "value ? 1.0f",
    ),
    Mutation(
        "dk_not_scaled",
        "dK without the scale of the scores",
        "gradient_outputs.h",
        ": tiling_->scale,",
        ": 1.0f,",
    ),
    Mutation(
        "rope_gradient_misplaced",
        "the rope part of a gradient is taken from the columns beside it",
        "head_tensor.h",
        "ub[RopeBegin()]",
        "ub[RopeBegin() - kBlockElements<T>]",
        dtype="bfloat16",
    ),
    Mutation(
        "sink_gradient_sign",
        "dsink has the other sign",
        "gradient_outputs.h",
        "1.0f / kStatisticColumns",
        "-1.0f / kStatisticColumns",
    ),
    Mutation(
        "bias_gradient_not_scaled",
        "dpse without the scale that pse_type 1 asks for",
        "bias_gradient.h",
        "problem->bias.order == BiasOrder::kAddThenScale ? tiling->scale : 1.0f",
        "1.0f",
    ),
    Mutation(
        "bias_gradient_of_one_row",
        "dpse that rows share is that of the first row of a tile",
        "bias_gradient.h",
        "if (SharedByRows()) SumRows(out, gradient);",
        "",
    ),
    Mutation(
        "bias_gradient_stored",
        "dpse is stored where it should be added",
        "bias_gradient.h",
        "AscendC::SetAtomicAdd<float>();",
        "",
    ),
    Mutation(
        "table_left_in_its_last_row",
        "dpse of a table that sequences share stays in the row where it was summed",
        "backward.h",
        "bias_gradient_.Finish(boxes_, number, numbers);",
        "",
    ),
    Mutation(
        "half_a_stage_misplaced",
        "a tile of rows that sees half of a stage stores dS of the other half",
        "backward.h",
        "out[kBackwardTile + seen.begin]",
        "out[kBackwardTile]",
    ),
    Mutation(
        "first_block_adds",
        "the last block that sees a tile of keys starts its sum, not the first",
        "backward_cube.h",
        "keys.end).end <= plan.block.rows.end;",
        "keys.end).begin >= plan.block.rows.begin;",
    ),
    Mutation(
        "cores_share_a_sum",
        "in deterministic mode all cores add to one sum",
        "backward_schedule.h",
        "(2 * core + which) * t.longest_kv",
        "which * t.longest_kv",
        deterministic=True,
    ),
)
BACKWARD = tuple(dataclasses.replace(mutation, backward=True) for mutation in BACKWARD)

MUTATIONS = FORWARD + BACKWARD
