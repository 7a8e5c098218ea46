"""Whether registered models have weights, and whether these make a model that computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from robustlvq.core.imported import imported
from robustlvq.core.locate import find_weights
from robustlvq.core.paths import trained_weights
from robustlvq.core.registry import Entry
from robustlvq.core.specs import ModelSpec
from robustlvq.doctor.finding import Finding, guarded, note, ok, problem
from robustlvq.doctor.subject import Subject
from robustlvq.errors import RobustLVQError

__all__ = ["weights"]

USUAL_SHAPE = (1, 28, 28)
"""Of an input, for a model whose configuration names none: that of the built-in datasets."""


def weights(subject: Subject) -> Iterator[Finding]:
    """Every registered model, what was trained here under a shipped name, and what was imported."""
    for name, entry in subject.registry.models.entries.items():
        yield from guarded(name, _model, subject, entry)
    for importer in subject.registry.importers:
        for reference in imported(importer):
            yield from guarded(reference, _imported, subject, reference)


def _imported(subject: Subject, reference: str) -> Iterator[Finding]:
    if subject.torch_failure:
        yield note(reference, "imported; not checked, torch cannot be used", "see Installation")
        return
    importer = reference.partition("/")[0]
    cure = f"robustlvq import {importer} PATH, where PATH holds the original files"
    yield _opened(subject, reference, reference, "imported", cure)


def _model(subject: Subject, entry: Entry[ModelSpec]) -> Iterator[Finding]:
    name = entry.spec.name
    provider = entry.plugin.distribution
    kind, path = find_weights(entry.spec)
    if not kind and entry.spec.recipe is not None:
        yield note(name, "no weights here", f"robustlvq train {name}")
    elif not kind:
        yield problem(name, f"its weights are missing from {provider}", _reinstall(provider))
    elif subject.torch_failure:
        yield note(name, f"{kind}; not checked, torch cannot be used", "see Installation")
    else:
        yield _opened(subject, name, name, kind, _cure(entry, kind, path))
        own = trained_weights(name)
        if kind == "shipped" and own.is_file():
            cure = _cure(entry, "trained", own)
            yield _opened(subject, f"{name} (yours)", f"{name}={own}", "trained", cure)


def _opened(subject: Subject, label: str, reference: str, kind: str, cure: str) -> Finding:
    """Whether a model can be opened, and classifies something."""
    import torch

    from robustlvq.api import evaluate
    from robustlvq.core.loading import open_model

    try:
        opened = open_model(reference, subject.registry)
    except RobustLVQError as error:
        return problem(label, str(error), cure)
    shape = getattr(opened.config, "shape", None)
    grey = torch.full((2, *(shape or USUAL_SHAPE)), 0.5)
    try:
        scores = evaluate(opened.module, grey, pad=False)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if shape is None and not isinstance(error, RobustLVQError):
            tell = "nothing, if it takes inputs of another shape; its config has no 'shape'"
            return note(label, f"{kind}, not tried: it refuses {USUAL_SHAPE}: {first}", tell)
        return problem(label, f"{kind}, but cannot classify: {first}", cure)
    digest = str(opened.facts.get("sha256", ""))[:8]
    origin = f"{kind}, SHA-256 {digest}..." if digest else "needs no weights"
    return ok(label, f"{origin}, classifies into {scores.shape[1]} classes")


def _cure(entry: Entry[ModelSpec], kind: str, path: Path | None) -> str:
    provider = entry.plugin.distribution
    if path is None:
        return f"report it to the authors of {provider}"
    if kind == "trained":
        return f"robustlvq train {entry.spec.name} --force"
    return f"{_reinstall(provider)}, or restore {path}"


def _reinstall(provider: str) -> str:
    return f"pip install --force-reinstall --no-deps {provider.partition(' ')[0]}"
