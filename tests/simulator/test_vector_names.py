"""What compiles: the names of CANN 9 beside those of CANN 8, and nothing the chip does not have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from vector_call import Call, get, put, run

ROOT = Path(__file__).resolve().parents[2]
AREA = 4096


def test_names_of_cann_9(kernels):
    image = np.zeros(16 * AREA, np.uint8)
    source = np.arange(128, dtype=np.float32)
    put(image, 0, source)
    after, parameters = run(kernels, "vector_names_of_9", image, Call())
    rows = source.reshape(2, 64)
    assert get(after, 1 * AREA, np.float32, 2).tolist() == rows.sum(1).tolist()
    assert get(after, 2 * AREA, np.float32, 2).tolist() == [63.0, 127.0]
    assert get(after, 3 * AREA, np.float32, 9).tolist() == [0.0] + [0.0] * 7 + [64.0]
    np.testing.assert_array_equal(get(after, 4 * AREA, np.float32, 32), source[:64:2] + source[1:64:2])
    np.testing.assert_array_equal(get(after, 5 * AREA, np.uint8, 16), np.packbits(source > 3, bitorder="little"))
    np.testing.assert_array_equal(get(after, 6 * AREA, np.float32, 128), 3 * source)
    assert get(after, 7 * AREA + 256, np.float16, 64).tolist() == [65504.0] * 64
    assert get(after, 7 * AREA + 512, np.float16, 64).tolist() == [np.inf] * 64
    # Sum of the first 64, extreme of both repeats, CTRL[48], elements kept by GatherMask (every fourth).
    assert parameters[20:24].tolist() == [rows[0].sum(), 127, 1, 32]


def compiles(statement: str, tmp_path: Path) -> bool:
    """Whether a kernel with this one statement compiles; `f` float, `h` half, `u` uint8, `w` uint32 tensors in UB."""
    source = tmp_path / "kernel.cpp"
    source.write_text(
        '#include "kernel_operator.h"\nusing namespace AscendC;\n'
        "void Kernel(LocalTensor<float> f, LocalTensor<half> h, LocalTensor<bfloat16_t> b, LocalTensor<uint8_t> u,\n"
        "            LocalTensor<uint32_t> w, LocalTensor<int32_t> i, GlobalTensor<float> g) {\n"
        f"  {statement}\n}}\n"
    )
    include = ROOT / "simulator"
    command = ["g++", "-std=c++17", "-fsyntax-only", f"-I{include}", f"-I{include / 'include'}", str(source)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


# What the chip has, and the nearest thing it has not.
PAIRS = {
    "addition of bfloat16": ("Add(f, f, f, 8);", "Add(b, b, b, 8);"),
    "exponential of integers": ("Exp(h, h, 8);", "Exp(i, i, 8);"),
    "bits of 32": ("And(w.ReinterpretCast<uint16_t>(), w.ReinterpretCast<uint16_t>(), "
                   "w.ReinterpretCast<uint16_t>(), 8);", "And(w, w, w, 8);"),
    "scatter": ("Gather(f, f, w, 0, 8);", "Scatter(f, f, w, 0, 8);"),
    "negation": ("Abs(f, f, 8);", "Neg(f, f, 8);"),
    "bfloat16 to half": ("Cast(f, b, RoundMode::CAST_NONE, 8);", "Cast(h, b, RoundMode::CAST_NONE, 8);"),
    "select of integers": ("Select(f, u, f, f, SELMODE::VSEL_TENSOR_TENSOR_MODE, 8);",
                           "Select(i, u, i, i, SELMODE::VSEL_TENSOR_TENSOR_MODE, 8);"),
    "half results in the cube": ("Mmad(f, h, h, MmadParams());", "Mmad(h, h, h, MmadParams());"),
    "mixed inputs of the cube": ("Mmad(f, b, b, MmadParams());", "Mmad(f, h, b, MmadParams());"),
    "float to L1": ("Fixpipe<half, float, CFG_NZ>(h, f, FixpipeParamsV220());",
                    "Fixpipe<float, float, CFG_NZ>(f, f, FixpipeParamsV220());"),
    "row-major to L1": ("Fixpipe<half, float, CFG_NZ>(h, f, FixpipeParamsV220());",
                        "Fixpipe<half, float, CFG_ROW_MAJOR>(h, f, FixpipeParamsV220());"),
    "the first 3D load": ("LoadData(h, h, LoadData3DParamsV2<half>());", "LoadData(h, h, LoadData3DParamsV1<half>());"),
}  # fmt: skip


@pytest.mark.parametrize("case", PAIRS)
def test_what_the_chip_lacks_does_not_compile(case, tmp_path):
    there, missing = PAIRS[case]
    assert compiles(there, tmp_path)
    assert not compiles(missing, tmp_path)
