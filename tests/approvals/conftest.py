"""Property tests here run on shared machines: their figures are counts of examples, never times."""

from hypothesis import HealthCheck, settings

settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
settings.load_profile("desk")
