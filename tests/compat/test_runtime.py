"""torch.npu: one device that is always idle and has no memory of its own."""

import npu_flash_attention as nfa
import pytest
import torch

pytestmark = pytest.mark.usefixtures("stand_in")


def test_devices():
    assert torch.npu.is_available() and torch.npu.is_initialized() and torch.npu.device_count() == 1
    for device in (0, "npu", "npu:0", torch.device("npu:0")):
        torch.npu.set_device(device)
        assert torch.npu.current_device() == 0
    with pytest.raises(RuntimeError, match="expected npu:0 to npu:0, got npu:1"):
        torch.npu.set_device(1)
    with torch.npu.device(0), torch.npu.device_of(torch.ones(1)):
        torch.npu.synchronize()
    assert "stand-in" in torch.npu.get_device_name() and torch.npu.get_device_properties(0).total_memory > 0
    assert torch.npu.is_bf16_supported() and torch.bfloat16 in torch.npu.get_amp_supported_dtype()
    torch.npu.set_compile_mode(jit_compile=False)
    torch.npu.set_option({"ACL_PRECISION_MODE": "must_keep_origin_dtype"})
    torch.npu.config.allow_internal_format = False


def test_a_process_of_torchrun_has_its_device():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_WORLD_SIZE", "3")
        torch.npu.set_device(2)
        assert torch.npu.current_device() == 2 and torch.npu.device_count() == 3
        with torch.npu.device("npu:1"):
            assert torch.npu.current_device() == 1
        torch.npu.set_device(0)


def test_every_name_that_is_announced_is_there():
    for name in torch.npu.__all__:
        assert getattr(torch.npu, name) is not None
    for module in (torch.npu.amp, torch.npu.random, torch.npu.streams):
        for name in module.__all__:
            assert getattr(module, name) is not None


def test_streams_and_events():
    start, end = (torch.npu.Event(enable_timing=True) for _ in range(2))
    start.record()
    stream = torch.npu.Stream()
    default = torch.npu.current_stream()
    with torch.npu.stream(stream):
        assert torch.npu.current_stream() is stream
        stream.wait_stream(default)
        event = stream.record_event()
    assert torch.npu.current_stream() is default is torch.npu.default_stream()
    default.wait_event(event)
    with torch.npu.stream(None):
        assert torch.npu.current_stream() is default
    end.record()
    end.synchronize()
    assert end.query() and stream.query() and start.elapsed_time(end) > 0
    with pytest.raises(RuntimeError, match="enable_timing=True"):
        event.elapsed_time(end)


def test_seeding_covers_dropout_and_random_numbers():
    def draw():
        x = torch.ones(1, 1, 8, 8, device="npu")
        return torch.rand(3, device="npu"), nfa.npu_fusion_attention(x, x, x, 1, "BNSD", keep_prob=0.5)[4:6]

    results = []
    for seed in (torch.manual_seed, torch.npu.manual_seed, torch.npu.manual_seed_all, torch.npu.random.manual_seed):
        seed(11)
        results.append(draw())
    for numbers, state in results:
        assert torch.equal(numbers, results[0][0]) and state == (11, 0)
    state = torch.npu.get_rng_state()
    first = draw()
    torch.npu.set_rng_state(state)
    assert torch.equal(draw()[0], first[0])
    states = torch.npu.get_rng_state_all()
    second = draw()
    torch.npu.set_rng_state_all(states)
    again = draw()
    assert torch.equal(again[0], second[0]) and again[1] == second[1]
    torch.npu.seed()
    assert torch.npu.initial_seed() != 11


def test_memory():
    torch.npu.empty_cache()
    torch.npu.reset_peak_memory_stats()
    assert torch.npu.memory_allocated() == torch.npu.max_memory_allocated(0) == torch.npu.memory_reserved() == 0
    assert torch.npu.memory_stats()["allocated_bytes.all.current"] == 0
    free, total = torch.npu.mem_get_info()
    assert 0 < free <= total
    assert isinstance(torch.npu.memory_summary(), str)


def test_profiling(tmp_path):
    import torch_npu

    config = torch_npu.profiler._ExperimentalConfig(
        profiler_level=torch_npu.profiler.ProfilerLevel.Level1,
        aic_metrics=torch_npu.profiler.AiCMetrics.PipeUtilization,
        export_type=torch_npu.profiler.ExportType.Text,
    )
    with torch_npu.profiler.profile(
        activities=[torch_npu.profiler.ProfilerActivity.CPU, torch_npu.profiler.ProfilerActivity.NPU],
        schedule=torch_npu.profiler.schedule(wait=0, warmup=0, active=1, repeat=1),
        on_trace_ready=torch_npu.profiler.tensorboard_trace_handler(str(tmp_path)),
        experimental_config=config,
        record_shapes=True,
    ) as profiler:
        x = torch.randn(1, 2, 16, 8, device="npu")
        torch_npu.npu_fusion_attention(x, x, x, 2, "BNSD")
        profiler.step()
    (trace,) = tmp_path.glob("*.json")
    assert "attention_forward" in trace.read_text()
