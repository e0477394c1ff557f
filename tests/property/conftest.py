"""The same examples on every run, and few enough of them for CI."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "bounded",
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("bounded")
