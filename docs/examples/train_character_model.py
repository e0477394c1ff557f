"""Trains a small causal transformer on the text of this project's docs, its attention through npu_fusion_attention.

Character level, with dropout inside the attention and the compressed 2048 x 2048 causal mask, as a training script on an
NPU calls it. The same training then runs through eager attention, which is given the same dropout bits, so that the
two losses can be compared step by step. A table at the end says what came out, how far output and gradients are from
the golden model, which backend ran and how long it took.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import npu_flash_attention as nfa
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

LAYERS, HEADS, HEAD_DIM, CONTEXT, BATCH = 3, 4, 32, 128, 16
KEEP_PROB = 0.9
SCALE = 1 / math.sqrt(HEAD_DIM)
CAUSAL_MASK = torch.triu(torch.ones(2048, 2048), diagonal=1).bool()

Attention = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def fused_attention(query: Tensor, key: Tensor, value: Tensor, keep_prob: float) -> Tensor:
    """[B, S, N, D] each, as a script for the NPU writes it."""
    return nfa.npu_fusion_attention(
        query,
        key,
        value,
        HEADS,
        "BSND",
        atten_mask=CAUSAL_MASK,
        scale=SCALE,
        keep_prob=keep_prob,
        pre_tockens=65536,
        next_tockens=0,
        sparse_mode=2,
    )[0]


def eager_attention(query: Tensor, key: Tensor, value: Tensor, keep_prob: float) -> Tensor:
    """The textbook formula in plain torch, with the dropout bits the generator hands to the fused operator."""
    query, key, value = (t.transpose(1, 2) for t in (query, key, value))
    scores = query @ key.transpose(-1, -2) * SCALE
    length = scores.size(-1)
    p = scores.masked_fill(CAUSAL_MASK[:length, :length], -math.inf).softmax(-1)
    if keep_prob < 1:
        packed = nfa.npu_dropout_gen_mask(p.shape, 1 - keep_prob)
        bits = (packed.unsqueeze(-1) >> torch.arange(8)) & 1
        p = p * bits.flatten()[: p.numel()].view(p.shape) / keep_prob
    return (p @ value).transpose(1, 2)


class Block(nn.Module):
    def __init__(self, attention: Attention) -> None:
        super().__init__()
        width = HEADS * HEAD_DIM
        self.attention = attention
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, length, 3, HEADS, HEAD_DIM)
        attended = self.attention(*qkv.unbind(2), KEEP_PROB if self.training else 1.0)
        x = x + self.out(attended.reshape(batch, length, width))
        return x + self.mlp(self.norm_mlp(x))


class CharacterModel(nn.Module):
    def __init__(self, vocabulary: int, attention: Attention) -> None:
        super().__init__()
        width = HEADS * HEAD_DIM
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(*(Block(attention) for _ in range(LAYERS)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens) + self.position(torch.arange(tokens.size(1)))
        return self.head(self.norm(self.blocks(x)))


def load_text(folder: Path) -> tuple[Tensor, int]:
    """Token ids of all Markdown files of the project, and the size of their alphabet."""
    files = sorted(path for path in folder.glob("**/*.md") if ".venv" not in path.parts)
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    if len(text) < 20 * CONTEXT:
        raise SystemExit(
            f"{folder}: expected the project's docs (Markdown files) to train on, got {len(text)} characters"
        )
    alphabet = sorted(set(text))
    index = {character: i for i, character in enumerate(alphabet)}
    return torch.tensor([index[character] for character in text]), len(alphabet)


def batch_of(tokens: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    starts = torch.randint(len(tokens) - CONTEXT - 1, (BATCH,), generator=generator)
    rows = torch.stack([tokens[start : start + CONTEXT + 1] for start in starts.tolist()])
    return rows[:, :-1], rows[:, 1:]


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return functional.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())


def train(
    name: str,
    attention: Attention,
    tokens: Tensor,
    vocabulary: int,
    steps: int,
    console: Console,
    validation_batches: int = 8,
) -> tuple[CharacterModel, list[float], float, float]:
    """The trained model, its loss at each step, its loss on held-out text, and the seconds it took."""
    torch.manual_seed(1)
    held_out = tokens[int(len(tokens) * 0.9) :]
    tokens = tokens[: int(len(tokens) * 0.9)]
    model = CharacterModel(vocabulary, attention)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    data = torch.Generator().manual_seed(2)
    losses = []
    start = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{name:5}", total=steps)
        for step in range(steps):
            loss = cross_entropy(model, batch_of(tokens, data))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            progress.update(task, advance=1, description=f"{name:5} loss {losses[-1]:.3f}")
            if step % 50 == 0 or step == steps - 1:
                console.print(f"{name:5} step {step:4d}  loss {losses[-1]:.4f}")
    seconds = time.perf_counter() - start
    model.eval()
    with torch.no_grad():
        held_out_losses = [cross_entropy(model, batch_of(held_out, data)).item() for _ in range(validation_batches)]
        validation = sum(held_out_losses) / max(validation_batches, 1)
    return model, losses, validation, seconds


def errors_against_golden(model: CharacterModel, tokens: Tensor) -> dict[str, float]:
    """Largest error of attention_out, dq, dk, dv relative to the largest value, on the first layer of the model."""
    captured: list[tuple[Tensor, Tensor, Tensor]] = []

    def capture(query: Tensor, key: Tensor, value: Tensor, keep_prob: float) -> Tensor:
        captured.append(tuple(t.detach().clone() for t in (query, key, value)))  # type: ignore[arg-type]
        return fused_attention(query, key, value, keep_prob)

    block = model.blocks[0]
    assert isinstance(block, Block)
    block.attention = capture
    model(batch_of(tokens, torch.Generator().manual_seed(3))[0])
    block.attention = fused_attention
    inputs = [t.requires_grad_() for t in captured[0]]
    results = {}
    state = nfa.get_rng_state()
    for name in (None, "golden"):
        nfa.set_rng_state(state)
        with nfa.backend(name):
            wide = [t.detach().double().requires_grad_() for t in inputs] if name else inputs
            out = fused_attention(*wide, KEEP_PROB)
            dy = torch.sin(torch.arange(out.numel(), dtype=out.dtype)).view(out.shape)
            results[name] = (out, *torch.autograd.grad(out, wide, dy))
    return {
        quantity: ((ours - golden).abs().max() / golden.abs().max()).item()
        for quantity, ours, golden in zip(("output", "dq", "dk", "dv"), results[None], results["golden"], strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="training steps of each run (default 300)")
    parser.add_argument(
        "--text", type=Path, default=Path(__file__).resolve().parents[2], help="folder of Markdown files"
    )
    parser.add_argument(
        "--backend", default=None, help="backend of npu_fusion_attention (default: chosen for each call)"
    )
    parser.add_argument(
        "--simulator-steps", type=int, default=3, help="steps that the kernels repeat on the simulated chip (default 3)"
    )
    options = parser.parse_args()
    console = Console(highlight=False)
    tokens, vocabulary = load_text(options.text)
    console.print(f"{len(tokens)} characters, alphabet of {vocabulary}; {options.steps} steps of {BATCH} x {CONTEXT}")
    with nfa.backend(options.backend):
        model, losses, validation, seconds = train("fused", fused_attention, tokens, vocabulary, options.steps, console)
        errors = errors_against_golden(model, tokens)
        query = torch.zeros(BATCH, CONTEXT, HEADS, HEAD_DIM)
        taken_by = nfa.explain(query, query, query, HEADS, "BSND", atten_mask=CAUSAL_MASK, sparse_mode=2).backend
    _, eager_losses, eager_validation, eager_seconds = train(
        "eager", eager_attention, tokens, vocabulary, options.steps, console
    )
    with nfa.backend("simulator"):
        steps = min(options.simulator_steps, options.steps)
        simulated = train("chip", fused_attention, tokens, vocabulary, steps, console, validation_batches=0)
    early = max(abs(a - b) for a, b in zip(losses[:20], eager_losses[:20], strict=True))
    table = Table(title="npu_fusion_attention against eager attention, same weights, batches and dropout bits")
    table.add_column("")
    table.add_column("fused", justify="right")
    table.add_column("eager", justify="right")
    table.add_row("loss at the first step", f"{losses[0]:.4f}", f"{eager_losses[0]:.4f}")
    table.add_row("loss at the last step", f"{losses[-1]:.4f}", f"{eager_losses[-1]:.4f}")
    table.add_row("loss on held-out text", f"{validation:.4f}", f"{eager_validation:.4f}")
    table.add_row("largest difference in the first 20 steps", f"{early:.1e}", "")
    if steps > 0:
        apart = max(abs(a - b) for a, b in zip(simulated[1], losses, strict=False))
        table.add_row(f"{steps} steps on the simulated chip: difference", f"{apart:.1e}", "")
        table.add_row("their seconds", f"{simulated[3]:.1f}", "")
    table.add_row("backend", taken_by, "torch")
    table.add_row("seconds", f"{seconds:.1f}", f"{eager_seconds:.1f}")
    for quantity, error in errors.items():
        table.add_row(f"{quantity}: error against golden", f"{error:.1e}", "")
    console.print(table)


if __name__ == "__main__":
    main()
