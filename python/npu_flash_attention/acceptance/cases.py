"""The calls and the input distributions that the levels ask for."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from ..sweep.cases import NOT_FINITE, Case
from ..sweep.generate import random_case

# Shares of the input distributions.
DISTRIBUTIONS: dict[str, dict[str, float]] = {
    "L0": {"uniform_wide": 0.5, "normal_shifted": 0.5},
    "L1": {"uniform_tiny": 0.1, "uniform_wide": 0.3, "normal_shifted": 0.4, "outliers_large": 0.2},
}
DISTRIBUTIONS["L2"] = DISTRIBUTIONS["L1"]

MODEL_SHARE = 1 / 3  # of the calls of level L2
NOT_FINITE_SHARE = 1 / 50
# A model's heads on sequences as long and as many as the golden model takes a moment for.
_MODEL_SCORES, _MODEL_WORK = 200_000, 48

# (query heads, key heads, D, Dv) of models that are trained with this operator.
MODELS: dict[str, tuple[int, int, int, int]] = {
    "GPT-2": (12, 12, 64, 64),
    "BERT-large": (16, 16, 64, 64),
    "ViT-H": (16, 16, 80, 80),
    "Stable Diffusion 1.5": (8, 8, 40, 40),
    "Llama 2 7B": (32, 32, 128, 128),
    "Llama 3 8B": (32, 8, 128, 128),
    "Qwen2.5 7B": (28, 4, 128, 128),
    "Gemma 2B": (8, 1, 256, 256),
    "DeepSeek V2 Lite": (16, 16, 192, 128),
}


def acceptance_cases(level: str, seed: int, count: int) -> Iterator[Case]:
    """`count` distinct random valid calls in float16, bfloat16 and float32 with the inputs that a level asks for.

    As in `random_cases`, a call depends on the seed and its number alone.
    """
    seen: set[str] = set()
    for index in range(count):
        attempt = 0
        while (case := _draw(level, seed, index, attempt)) is None or case.id in seen:
            attempt += 1
        seen.add(case.id)
        yield case


def _draw(level: str, seed: int, index: int, attempt: int) -> Case | None:
    case = random_case(seed, index, attempt)
    if case.dtype == "float64":
        return None
    rng = random.Random(f"acceptance:{level}:{seed}:{index}")
    shares = DISTRIBUTIONS[level]
    values = rng.choices(list(shares), list(shares.values()))[0]
    if rng.random() < NOT_FINITE_SHARE:
        values = rng.choice(NOT_FINITE)
    case = dataclasses.replace(case, values=values)
    if level == "L2" and rng.random() < MODEL_SHARE:
        heads, kv_heads, head_dim, value_dim = rng.choice(list(MODELS.values()))
        case = dataclasses.replace(
            case, heads=heads, kv_heads=kv_heads, head_dim=head_dim, value_dim=value_dim, scale=0.0
        )
        if case.scores > _MODEL_SCORES or heads * len(case.lengths) > _MODEL_WORK or case.rope_dim:
            return None
    return case


def model_of(case: Case) -> str | None:
    """The model of MODELS whose heads a case has."""
    shape = (case.heads, case.kv_heads, case.head_dim, case.dv)
    return next((name for name, model in MODELS.items() if model == shape), None)
