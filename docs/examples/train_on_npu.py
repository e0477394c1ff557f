"""A training script as they are written for an NPU: npu_fusion_attention, mixed precision, loss scaling, checkpoints.

python train_on_npu.py                                   on a machine with an NPU
python -m npu_flash_attention.compat train_on_npu.py     anywhere else, on the CPU
"""

import argparse
import math
import tempfile
from pathlib import Path

import torch
import torch_npu
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class Attention(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.register_buffer("mask", torch.triu(torch.ones(2048, 2048), diagonal=1).bool(), persistent=False)

    def forward(self, x):
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        attended = torch_npu.npu_fusion_attention(
            query,
            key,
            value,
            head_num=self.heads,
            input_layout="BSH",
            pse=None,
            padding_mask=None,
            atten_mask=self.mask,
            scale=1.0 / math.sqrt(x.shape[-1] // self.heads),
            keep_prob=1.0 - self.dropout if self.training else 1.0,
            pre_tockens=2147483647,
            next_tockens=0,
            sparse_mode=2,
        )[0]
        return self.out(attended)


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.up, self.down = nn.Linear(width, 8 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(width)) for _ in range(2))

    def forward(self, x):
        x = x + self.attention(torch_npu.npu_rms_norm(x, self.scales[0].to(x.dtype))[0])
        gated = torch_npu.npu_swiglu(self.up(torch_npu.npu_rms_norm(x, self.scales[1].to(x.dtype))[0]))
        return x + self.down(gated)


class Model(nn.Module):
    def __init__(self, tokens, length, width=64, heads=4, layers=2, dropout=0.1):
        super().__init__()
        self.token, self.position = nn.Embedding(tokens, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.head = nn.Linear(width, tokens)

    def forward(self, ids):
        x = self.token(ids) + self.position(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)
        return self.head(x)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.npu.set_device("npu:0")
    device = torch.device("npu:0")
    start = torch.randint(0, 16, (8 * options.steps, 1))
    sequences = (start + 3 * torch.arange(33)) % 16  # what comes next follows from what came before
    loader = DataLoader(TensorDataset(sequences), batch_size=8, shuffle=True, pin_memory=True, drop_last=True)
    model = Model(tokens=16, length=32).to(device)
    optimizer = torch_npu.optim.NpuFusedAdamW(model.parameters(), lr=3e-3)
    scaler = torch.npu.amp.GradScaler(init_scale=1024.0)

    begin, end = torch.npu.Event(enable_timing=True), torch.npu.Event(enable_timing=True)
    begin.record()
    for step, (batch,) in enumerate(loader):
        batch = batch.npu(non_blocking=True)
        with torch.npu.amp.autocast(dtype=torch.bfloat16):
            logits = model(batch[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        print(f"step {step} loss {loss.item():.4f}")
    end.record()
    torch.npu.synchronize()
    print(f"{begin.elapsed_time(end) / 1000:.1f} s, {torch.npu.max_memory_allocated() / 2**20:.0f} MiB on {device}")

    with tempfile.TemporaryDirectory() as folder:
        torch.save(model.state_dict(), Path(folder) / "model.pt")
        model.load_state_dict(torch.load(Path(folder) / "model.pt", map_location=device))


if __name__ == "__main__":
    main()
