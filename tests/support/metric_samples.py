"""What Prometheus would read from this process."""

from collections.abc import Callable

from prometheus_client import REGISTRY

Growth = Callable[[], float]


def sample(name: str, **labels: str) -> float:
    """A sample's value now; one that is not there yet is 0."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def growth(name: str, **labels: str) -> Growth:
    """By how much a sample has grown since now."""
    before = sample(name, **labels)
    return lambda: sample(name, **labels) - before
