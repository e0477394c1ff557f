"""`explain` says what the operator would do; its numbers are counted here a second time by hand."""

import npu_flash_attention
import pytest
import torch
from npu_flash_attention import AttentionError, backend, golden
from npu_flash_attention.explain import explain
from npu_flash_attention.sweep.generate import random_cases
from npu_flash_attention.sweep.inputs import build, compressed_mask, describe


def tensors(*shape: int) -> list[torch.Tensor]:
    return [torch.randn(shape) for _ in range(3)]


def test_backend_and_reasons():
    q, k, v = tensors(1, 2, 4, 8)
    by_itself = explain(q, k, v, 2, "BNSD")
    assert by_itself.backend == "cpu"
    assert "only when it is named" in by_itself.reasons["golden"] and "npu" in by_itself.reasons
    with backend("golden"):
        named = explain(q, k, v, 2, "BNSD")
    assert named.backend == "golden" and "golden was named" in named.reasons["cpu"]


def test_a_call_that_nobody_takes():
    q, k, v = (torch.empty(1, 2, 4, 8, device="meta") for _ in range(3))
    explanation = explain(q, k, v, 2, "BNSD")
    assert explanation.backend is None and "meta" in explanation.reasons["cpu"]
    assert "none takes this call" in str(explanation)


def test_flops_of_a_causal_call_by_hand():
    q, k, v = torch.randn(2, 4, 10, 16), torch.randn(2, 2, 10, 16), torch.randn(2, 2, 10, 8)
    explanation = explain(q, k, v, 4, "BNSD", atten_mask=compressed_mask(2), sparse_mode=2)
    pairs = 2 * 4 * 55
    assert explanation.visible_scores == pairs and explanation.all_scores == 2 * 4 * 100
    assert explanation.visible_fraction == pytest.approx(0.55)
    assert explanation.forward_flops == pairs * 2 * (16 + 8)
    assert explanation.backward_flops == pairs * 2 * (3 * 16 + 2 * 8)


@pytest.mark.parametrize("case", list(random_cases(seed=6, count=60)), ids=lambda case: case.id)
def test_visible_scores_are_those_of_golden(case):
    inputs = build(case)
    explanation = explain(inputs.query, inputs.key, inputs.value, case.heads, case.layout, **inputs.options)
    problem = inputs.problem()
    assert explanation.exact
    assert explanation.visible_scores == sum(int(golden.visible(problem, s, h).sum()) for s, h in problem.work())
    assert str(explanation).splitlines()[0].startswith("backend")


def test_the_mask_is_drawn_exactly_where_it_fits():
    q, k, v = tensors(1, 1, 4, 8)
    mask = torch.tensor([[0, 1, 1, 1], [0, 0, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1]], dtype=torch.bool)
    explanation = explain(q, k, v, 1, "BNSD", atten_mask=mask)
    assert explanation.draw().splitlines()[:4] == ["#...", "##..", ".##.", "...."]
    assert explanation.visible_scores == 5


def test_a_large_mask_is_drawn_smaller():
    q, k, v = tensors(1, 1, 200, 8)
    picture = explain(q, k, v, 1, "BNSD", atten_mask=compressed_mask(2), sparse_mode=2).draw(max_rows=4, max_columns=4)
    assert picture.splitlines()[:4] == ["+...", "#+..", "##+.", "###+"]


def test_a_mask_that_is_too_large_to_count_is_bounded_by_its_band():
    q, k, v = (torch.zeros(1).expand(1, 1, 20000, 8) for _ in range(3))
    q, k, v = (t.as_strided((1, 1, 20000, 1), (0, 0, 0, 1)) for t in (q, k, v))
    mask = torch.zeros(1, dtype=torch.bool).expand(20000, 20000)
    explanation = explain(q, k, v, 1, "BNSD", atten_mask=mask, pre_tokens=0, next_tokens=0)
    assert not explanation.exact and explanation.visible_scores == 20000
    assert "at most" in str(explanation)


def test_nothing_is_computed_or_drawn_from_the_generator():
    q, k, v = tensors(1, 1, 4, 8)
    state = npu_flash_attention.get_rng_state()
    explain(q, k, v, 1, "BNSD", keep_prob=0.5)
    assert npu_flash_attention.get_rng_state().equal(state)


def test_options_are_those_of_the_operator():
    q, k, v = tensors(1, 1, 4, 8)
    explain(q, k, v, 1, "BNSD", padding_mask=None, inner_precise=2, gen_mask_parallel=False, sync=True)
    with pytest.raises(TypeError, match="colour"):
        explain(q, k, v, 1, "BNSD", colour="red")
    with pytest.raises(AttentionError, match="keep_prob"):
        explain(q, k, v, 1, "BNSD", keep_prob=2.0)


@pytest.mark.parametrize("case", list(random_cases(seed=8, count=60)), ids=lambda case: case.id)
def test_a_described_call_is_the_call(case):
    """What `explain` on the command line builds has the shapes and dtypes of the real tensors."""
    query, key, value, options = describe(case)
    inputs = build(case)
    real = inputs.differentiable()
    found = {"query": query, "key": key, "value": value, **options}
    for name, tensor in real.items():
        assert found[name].shape == tensor.shape and found[name].dtype == tensor.dtype


def test_rich_shows_what_print_shows():
    from rich.console import Console

    q, k, v = tensors(1, 2, 4, 8)
    explanation = explain(q, k, v, 2, "BNSD", keep_prob=0.9)
    console = Console(width=200)
    with console.capture() as capture:
        console.print(explanation)
    for title, text in explanation.rows():
        assert title.strip() in capture.get() and text in capture.get()
