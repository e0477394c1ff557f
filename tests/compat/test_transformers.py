"""Hugging Face transformers' own NPU flash attention, dense and with packed sequences, through the stand-in.

The reference is the same model with attention in plain torch; a spy says which calls reached the operator.
"""

import importlib.util

import npu_flash_attention as nfa
import pytest
import torch

pytestmark = [
    pytest.mark.usefixtures("stand_in"),
    pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed"),
]

LENGTHS = (5, 7, 5)
FLASH = "flash_attention_2"
REFERENCES = ("eager", "sdpa")


@pytest.fixture(params=["dense", "padded", "packed", "packed with lengths"])
def kind(request):
    return request.param


def make(attention, dropout=0.0, dtype=torch.float32):
    """A Llama of two layers with the same weights every time."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        attention_dropout=dropout,
        initializer_range=0.3,
    )
    return LlamaForCausalLM._from_config(config, attn_implementation=attention, dtype=dtype).npu().train()


def inputs(kind, attention=FLASH):
    """Arguments of one forward."""
    torch.manual_seed(1)
    ids = torch.randint(0, 64, (1, sum(LENGTHS)) if kind.startswith("packed") else (2, 17)).npu()
    if kind == "dense":
        return {"input_ids": ids, "labels": ids}
    if kind == "padded":
        mask = torch.ones_like(ids)
        mask[0, :5] = 0
        labels = ids.masked_fill(mask == 0, -100)
        labels[0, 5] = -100  # predicted by a row of padding, whose attention is nobody's business
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}
    starts = torch.tensor(LENGTHS).cumsum(0) - torch.tensor(LENGTHS)
    labels = ids.clone()
    labels[:, starts] = -100
    positions = torch.cat([torch.arange(length) for length in LENGTHS])[None]
    packed = {"input_ids": ids, "labels": labels, "position_ids": positions, "use_cache": False}
    if kind == "packed with lengths" and attention == FLASH:
        ends = torch.tensor([0, 5, 12, 17], dtype=torch.int32)
        packed |= {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": 7, "max_length_k": 7}
    return packed


def loss_and_gradients(kind, attention, dtype=torch.float32):
    model = make(attention, dtype=dtype)
    loss = model(**inputs(kind, attention)).loss
    loss.backward()
    return loss.item(), {name: parameter.grad.double() for name, parameter in model.named_parameters()}


def error(gradients, reference):
    """The largest error of any gradient, in units of the largest element of that gradient."""
    return max(
        ((gradients[name] - reference[name]).abs().max() / reference[name].abs().max()).item() for name in reference
    )


class Spy:
    """Counts the calls of npu_fusion_attention that transformers makes."""

    def __enter__(self):
        import transformers.integrations.npu_flash_attention as integration

        self.integration, self.calls = integration, []
        assert integration.npu_fusion_attention is nfa.npu_fusion_attention
        integration.npu_fusion_attention = self
        return self

    def __call__(self, query, key, value, head_num, input_layout, **options):
        self.calls.append((input_layout, head_num, options.get("sparse_mode"), options.get("actual_seq_qlen")))
        return nfa.npu_fusion_attention(query, key, value, head_num, input_layout, **options)

    def __exit__(self, *exception):
        self.integration.npu_fusion_attention = nfa.npu_fusion_attention


CALLS = {
    "dense": ("BSND", 4, 3, None),
    "padded": ("TND", 4, 3, (12, 29)),
    "packed": ("TND", 4, 3, (5, 12, 17)),
    "packed with lengths": ("TND", 4, 3, (5, 12, 17)),
}


def test_loss_and_gradients_are_those_of_plain_attention(kind):
    with Spy() as spy:
        loss, gradients = loss_and_gradients(kind, FLASH)
    assert spy.calls == [CALLS[kind]] * 2
    for attention in REFERENCES:
        expected, reference = loss_and_gradients(kind, attention)
        assert loss == pytest.approx(expected, rel=1e-6)
        assert error(gradients, reference) < 1e-5  # about a hundred roundings of float32


def test_in_bfloat16_it_is_as_exact_as_eager(kind):
    _, exact = loss_and_gradients(kind, "eager")
    ours, eager = (error(loss_and_gradients(kind, how, torch.bfloat16)[1], exact) for how in (FLASH, "eager"))
    assert ours < 2 * eager + 2**-8


def test_packed_sequences_do_not_see_each_other():
    model = make(FLASH)
    packed = inputs("packed")
    together = model(input_ids=packed["input_ids"], position_ids=packed["position_ids"], use_cache=False).logits[0]
    alone = [model(input_ids=ids).logits[0] for ids in packed["input_ids"].split(LENGTHS, dim=1)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_it_trains_as_plain_attention_does(kind):
    losses = {}
    for attention in (FLASH, "sdpa"):
        model = make(attention)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        losses[attention] = []
        for _ in range(8):
            loss = model(**inputs(kind, attention)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[attention].append(loss.item())
    assert losses[FLASH] == pytest.approx(losses["sdpa"], rel=1e-4)
    assert losses[FLASH][-1] < 0.8 * losses[FLASH][0]


@pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed")
def test_the_trainer_packs_trains_and_resumes(tmp_path):
    """bfloat16, dropout, packed batches; what it does after a checkpoint is what it does without one."""
    from transformers import DataCollatorWithFlattening, Trainer, TrainingArguments

    data = [{"input_ids": (3 * torch.arange(n) % 64).tolist()} for n in (9, 17, 12, 30) * 4]

    def train(**options):
        arguments = TrainingArguments(
            output_dir=str(tmp_path), max_steps=6, per_device_train_batch_size=2, learning_rate=1e-2, bf16=True,
            logging_steps=1, save_steps=3, report_to=[], disable_tqdm=True,
        )  # fmt: skip
        assert arguments.device == torch.device("npu:0")
        trainer = Trainer(make(FLASH, 0.2), arguments, DataCollatorWithFlattening(), train_dataset=data)
        with Spy() as spy:
            trainer.train(**options)
        assert {call[:3] for call in spy.calls} == {("TND", 4, 3)}
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    losses = train()
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert train(resume_from_checkpoint=str(tmp_path / "checkpoint-3")) == losses


def test_dropout_follows_the_seed_and_survives_checkpointing():
    def step(seed, checkpointing):
        model = make(FLASH, dropout=0.3)
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": checkpointing == "reentrant"})
        arguments = inputs("dense")
        torch.manual_seed(seed)
        loss = model(**arguments, use_cache=False).loss
        loss.backward()
        return loss.item(), model.model.layers[0].self_attn.q_proj.weight.grad

    loss, gradient = step(5, None)
    for checkpointing in (None, "reentrant", "other"):
        again, same = step(5, checkpointing)
        assert again == loss and torch.equal(same, gradient), checkpointing
    assert step(6, None)[0] != loss
