// Types of the two operators in a graph. tools/stage_op_package.py writes the vendor's names here where it is asked to.
#pragma once

#define NPU_FA_FORWARD_OP NpuFaFlashAttentionScore
#define NPU_FA_BACKWARD_OP NpuFaFlashAttentionScoreGrad
