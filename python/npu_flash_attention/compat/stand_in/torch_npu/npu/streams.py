"""Streams and events: the host does everything in order, so a stream is always idle and an event has always happened."""

import time

__all__ = ["Event", "Stream", "StreamContext", "current_stream", "default_stream", "set_stream", "stream"]


class Stream:
    def __init__(self, device=None, priority=0, **kwargs):
        self.device, self.priority = device, priority

    def query(self):
        return True

    def synchronize(self):
        pass

    def wait_event(self, event):
        pass

    def wait_stream(self, stream):
        pass

    def record_event(self, event=None):
        event = Event() if event is None else event
        event.record(self)
        return event

    def __enter__(self):
        self._context = StreamContext(self)
        self._context.__enter__()
        return self

    def __exit__(self, *exception):
        self._context.__exit__(*exception)


class Event:
    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        self._timed, self._time = enable_timing, None

    def record(self, stream=None):
        self._time = time.perf_counter()

    def wait(self, stream=None):
        pass

    def query(self):
        return True

    def synchronize(self):
        pass

    def elapsed_time(self, end_event):
        """Milliseconds from this record to the other's."""
        if not (self._timed and end_event._timed):
            raise RuntimeError("elapsed_time: expected events made with enable_timing=True")
        if self._time is None or end_event._time is None:
            raise RuntimeError("elapsed_time: expected both events to be recorded")
        return (end_event._time - self._time) * 1e3


_default = Stream()
_current = _default


def current_stream(device=None):
    return _current


def default_stream(device=None):
    return _default


def set_stream(stream):
    global _current
    _current = stream


class StreamContext:
    """Context in which another stream is the current one; None changes nothing."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        self.before = current_stream()
        if self.stream is not None:
            set_stream(self.stream)

    def __exit__(self, *exception):
        set_stream(self.before)


def stream(stream):
    return StreamContext(stream)
