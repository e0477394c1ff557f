"""What `aclnn` stands on: handles of Python's tensors, executors, streams, and the two phases by a function's name."""

from __future__ import annotations

import collections
import contextlib
import functools
import importlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
import torch

from . import border
from .errors import AttentionError

STATUS_NAMES = {
    161001: "ACLNN_ERR_PARAM_NULLPTR",
    161002: "ACLNN_ERR_PARAM_INVALID",
    361001: "ACLNN_ERR_RUNTIME_ERROR",
    561000: "ACLNN_ERR_INNER",
    561001: "ACLNN_ERR_INNER_INFERSHAPE_ERROR",
    561002: "ACLNN_ERR_INNER_TILING_ERROR",
    561003: "ACLNN_ERR_INNER_FIND_KERNEL_ERROR",
    561101: "ACLNN_ERR_INNER_CREATE_EXECUTOR",
    561103: "ACLNN_ERR_INNER_NULLPTR",
}


class AclnnError(AttentionError):
    """A phase that failed.

    Attributes:
        status: the aclnnStatus or aclError.
        name: its name, such as "ACLNN_ERR_PARAM_INVALID".
        message: what aclGetRecentErrMsg says.
    """

    def __init__(self, status: int, message: str) -> None:
        self.name = STATUS_NAMES.get(status, "ACL_ERROR")
        self.message = message
        super().__init__(f"{message} ({self.name}, {status})", status)


# ---- the runtime ----

_thread = threading.local()
_started = threading.Lock()


@functools.cache
def _loaded() -> ModuleType:
    try:
        module = importlib.import_module("npu_flash_attention._aclnn")
    except ImportError as error:
        raise ImportError(
            f"npu_flash_attention: the aclnn binding was not built ({error}); "
            "run `pip install --no-build-isolation .` in the source folder"
        ) from error
    _check(module, module.init())
    return module


def _native() -> ModuleType:
    """The binding, with a device for the calling thread."""
    with _started:
        module = _loaded()
    if not getattr(_thread, "ready", False):
        _check(module, module.set_device(0))
        _thread.ready = True
    return module


def _check(module: ModuleType, status: int) -> None:
    if status != 0:
        raise AclnnError(status, module.recent_error())


@contextlib.contextmanager
def deterministic(value: bool = True) -> Iterator[None]:
    """ACL_OPT_DETERMINISTIC while a `with` block plans its calls, in this thread's context."""
    module = _native()
    _check(module, module.set_deterministic(value))
    try:
        yield
    finally:
        _check(module, module.set_deterministic(False))


class _Memory:
    """Host memory that the device may use: pieces that are registered, and how many calls use each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: dict[int, tuple[int, int]] = {}  # start -> (end, users)
        self._ended: collections.deque[tuple[ModuleType, int]] = collections.deque()

    def take(self, module: ModuleType, start: int, end: int, name: str) -> int:
        """Makes [start, end) known to the device; returns what `release` wants."""
        try:
            with self._lock:
                self._forget_ended()
                for known, (known_end, users) in self._pieces.items():
                    if known <= start and end <= known_end:
                        self._pieces[known] = (known_end, users + 1)
                        return known
                _check(module, module.register_memory(start, end - start, name))
                self._pieces[start] = (end, 1)
                return start
        finally:
            self._try_to_forget()

    def release(self, module: ModuleType, start: int) -> None:
        # A collected call comes here in the middle of anything, the `take` of the same thread too: who holds the lock
        # forgets for the others.
        self._ended.append((module, start))
        self._try_to_forget()

    def _try_to_forget(self) -> None:
        while self._ended and self._lock.acquire(blocking=False):
            try:
                self._forget_ended()
            finally:
                self._lock.release()

    def _forget_ended(self) -> None:
        while self._ended:
            module, start = self._ended.popleft()
            end, users = self._pieces[start]
            self._pieces[start] = (end, users - 1)
            if users == 1:
                del self._pieces[start]
                _check(module, module.unregister_memory(start))


_memory = _Memory()


class _Held:
    """What a call needs until the stream is through with it: handles, registered memory, the Python objects."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.handles: list[Any] = []
        self.owners: list[Any] = []
        self._spans: list[tuple[int, int, str]] = []
        self._taken: list[int] = []

    def memory(self, name: str, value: Any, tensor: torch.Tensor) -> None:
        start, size = _storage(value, tensor)
        if size > 0:
            self._spans.append((start, start + size, name))
        self.owners += (value, tensor)

    def register(self) -> None:
        """Makes the memory of all tensors known; views of one buffer count as one piece."""
        merged: list[tuple[int, int, str]] = []
        for start, end, name in sorted(self._spans):
            if merged and start < merged[-1][1]:
                first, last, names = merged[-1]
                merged[-1] = (first, max(last, end), f"{names}, {name}")
            else:
                merged.append((start, end, name))
        for start, end, name in merged:
            self._taken.append(_memory.take(self.module, start, end, name))

    def release(self) -> None:
        for handle in self.handles:
            handle.destroy()
        for start in self._taken:
            _memory.release(self.module, start)
        self.handles, self.owners, self._taken = [], [], []

    def __del__(self) -> None:
        self.release()


class Executor:
    """What the first phase hands to the second. Good for one launch, or for many once `set_repeatable` was called."""

    def __init__(self, module: ModuleType, function: str, handle: int, held: _Held) -> None:
        self._module, self.function, self.handle, self.held = module, function, handle, held
        self._repeatable = self._launched = False

    def set_repeatable(self) -> None:
        """aclSetAclOpExecutorRepeatable."""
        _check(self._module, self._module.set_repeatable(self.handle))
        self._repeatable = True

    def launched(self, held: _Held) -> None:
        """Leaves what the call needs to the launch as well."""
        self._launched = True
        held.owners.append(self.held)

    def destroy(self) -> None:
        """aclDestroyAclOpExecutor, where the executor is still there to destroy."""
        if self.handle and (self._repeatable or not self._launched):
            _check(self._module, self._module.destroy_executor(self.handle))
        self.handle = 0

    def __del__(self) -> None:
        self.destroy()


class Stream:
    """An aclrtStream: launches on it run one after the other, beside the caller."""

    def __init__(self) -> None:
        self._module = _native()
        error, self.handle = self._module.create_stream()
        _check(self._module, error)
        self.held: list[_Held] = []

    def synchronize(self) -> None:
        """Waits for all launches so far; raises AclnnError with the fault of one that failed."""
        error = self._module.synchronize_stream(self.handle)
        self.held.clear()
        _check(self._module, error)

    def close(self) -> None:
        if self.handle:
            self._module.synchronize_stream(self.handle)
            self._module.destroy_stream(self.handle)
            self.handle = 0
            self.held.clear()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self.close()


_default_held: list[_Held] = []


def synchronize() -> None:
    """aclrtSynchronizeDevice: waits for every stream, the default one included."""
    module = _native()
    error = module.synchronize_device()
    _default_held.clear()
    _check(module, error)


def empty_workspace(size: int) -> torch.Tensor:
    """Memory for a workspace of `size` bytes."""
    return torch.empty(size, dtype=torch.uint8)


# ---- Python values as handles ----

_ACL_DTYPES = {
    torch.float32: 0,
    torch.float16: 1,
    torch.int8: 2,
    torch.int32: 3,
    torch.uint8: 4,
    torch.int16: 6,
    torch.int64: 9,
    torch.float64: 11,
    torch.bool: 12,
    torch.bfloat16: 27,
}


def _as_torch(name: str, value: Any) -> torch.Tensor:
    """`value` as a torch tensor on the same memory."""
    if isinstance(value, torch.Tensor):
        tensor = value.detach()
    elif isinstance(value, np.ndarray):
        if not value.flags.writeable:  # torch would warn; the layer does not write to inputs
            value = value.view()
            with contextlib.suppress(ValueError):
                value.flags.writeable = True
        tensor = torch.from_numpy(value)
    elif hasattr(value, "__dlpack__"):
        tensor = torch.from_dlpack(value)
    else:
        raise TypeError(
            f"{name}: expected a torch tensor, a numpy array or an object with __dlpack__, got {value!r:.60}"
        )
    if tensor.device.type != "cpu" or tensor.layout != torch.strided:
        raise AclnnError(161002, f"{name}: expected a dense tensor on the CPU, got {tensor.layout} on {tensor.device}")
    if tensor.dtype not in _ACL_DTYPES:
        raise AclnnError(161002, f"{name}: expected a number type that aclTensor has, got {tensor.dtype}")
    return tensor


def _storage(value: Any, tensor: torch.Tensor) -> tuple[int, int]:
    """(address, bytes) of the buffer that a tensor is a view of, as far as its owner says."""
    if isinstance(value, np.ndarray):
        while isinstance(value.base, np.ndarray):
            value = value.base
        return value.ctypes.data, value.nbytes
    storage = tensor.untyped_storage()
    return storage.data_ptr(), storage.nbytes()


def _tensor(held: _Held, name: str, value: Any) -> Any:
    if value is None:
        return None
    tensor = _as_torch(name, value)
    held.memory(name, value, tensor)
    storage = tensor.untyped_storage()
    elements = storage.nbytes() // tensor.element_size()
    handle = held.module.Tensor(
        storage.data_ptr(),
        _ACL_DTYPES[tensor.dtype],
        tensor.shape,
        tensor.stride(),
        tensor.storage_offset(),
        [elements],
    )
    held.handles.append(handle)
    return handle


def _list(held: _Held, name: str, value: Sequence[int] | None) -> Any:
    values = border.integers(name, value)
    if values is None:
        return None
    handle = held.module.IntArray(values)
    held.handles.append(handle)
    return handle


def _address(held: _Held, workspace: Any) -> int:
    if workspace is None:
        return 0
    tensor = _as_torch("workspace", workspace)
    held.memory("workspace", workspace, tensor)
    held.register()
    return tensor.data_ptr()


# ---- the two phases ----


def _parameter(held: _Held, kind: str, name: str, value: Any) -> Any:
    if kind == "tensor":
        return _tensor(held, name, value)
    if kind == "list":
        return _list(held, name, value)
    if kind == "integer":
        return border.integer(name, value)
    if kind == "number":
        return border.number(name, value)
    if value is not None:
        border.text(name, value)
    return value


def plan(name: str, parameters: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[int, Executor]:
    """First phase of `name`; `kinds`: "tensor", "list", "integer", "number" or "text" for each parameter."""
    module = _native()
    held = _Held(module)
    converted = [_parameter(held, kinds[each], each, value) for each, value in parameters.items()]
    held.register()
    status, size, handle = module.plan(name, tuple(converted))
    _check(module, status)
    return size, Executor(module, name, handle, held)


def launch(name: str, workspace: Any, workspace_size: int, executor: Executor | None, stream: Stream | None) -> None:
    """Second phase of `name`."""
    module = _native()
    held = _Held(module)
    address = _address(held, workspace)
    handle = 0 if executor is None else executor.handle
    status = module.launch(name, address, workspace_size, handle, 0 if stream is None else stream.handle)
    _check(module, status)
    assert executor is not None
    executor.launched(held)
    (_default_held if stream is None else stream.held).append(held)
