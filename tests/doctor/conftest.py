import pytest

from robustlvq.core.registry import Registry
from robustlvq.doctor.subject import Subject


@pytest.fixture
def subject(registry, monkeypatch):
    """What is examined, with the tiny plugins of the suite."""
    monkeypatch.delenv("ROBUSTLVQ_DATA", raising=False)
    monkeypatch.delenv("ROBUSTLVQ_LEDGER", raising=False)
    return with_registry(Subject(), registry)


@pytest.fixture
def installed_with(plugin):
    """A subject whose only plugin has these hooks."""

    def make(**hooks):
        return with_registry(Subject(), Registry.discover([plugin("own", **hooks)]))

    return make


def with_registry(subject, registry):
    vars(subject)["registry"] = registry
    return subject


@pytest.fixture
def marks():
    """Findings as {name: (mark, everything that is said)}; each name must come once."""

    def read(findings):
        found = list(findings)
        told = {one.name: (one.mark.value, f"{one.found} -> {one.cure}") for one in found}
        assert len(told) == len(found)
        for one in found:
            assert bool(one.cure) == (one.mark.value != "ok")
            assert "\n" not in one.found + one.cure
        return told

    return read
