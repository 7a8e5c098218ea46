"""Which datasets are on this machine, and whether they are what they should be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from robustlvq.core.paths import expanded
from robustlvq.core.specs import DatasetSpec
from robustlvq.doctor.finding import Finding, guarded, note, ok, problem, told
from robustlvq.doctor.subject import Subject
from robustlvq.errors import RobustLVQError

__all__ = ["datasets", "folder"]


def folder(subject: Subject) -> Iterator[Finding]:
    """The folder that $ROBUSTLVQ_DATA names."""
    named = os.environ.get("ROBUSTLVQ_DATA")
    if not named:
        return
    if expanded(named).is_dir():
        yield ok("$ROBUSTLVQ_DATA", named)
    else:
        cure = "export ROBUSTLVQ_DATA=FOLDER, of one that exists"
        yield problem("$ROBUSTLVQ_DATA", f"{named} is no folder, so it is ignored", cure)


def datasets(subject: Subject) -> Iterator[Finding]:
    """Every split of every registered dataset."""
    for name, entry in subject.registry.datasets.entries.items():
        found: list[Finding] = []
        for split in entry.spec.splits:
            label = name if len(entry.spec.splits) == 1 else f"{name}:{split}"
            provider = entry.plugin.distribution
            found += guarded(label, _split, subject, entry.spec, split, label, provider)
        alike = [replace(finding, name=name) for finding in found]
        yield from alike[:1] if len(set(alike)) == 1 else found


def _split(
    subject: Subject, spec: DatasetSpec, split: str, label: str, provider: str
) -> Iterator[Finding]:
    from robustlvq.data import local_files, open_dataset

    reference = f"{spec.name}:{split}"
    try:
        files = local_files(reference, subject.registry, subject.data_dir)
        if files is None:
            yield note(
                label,
                "not checked: its plugin does not say where its files are",
                f"only if it fails in a benchmark: report it to the authors of {provider}",
            )
        elif not files:
            yield note(
                label,
                "not on this machine",
                "downloaded when first used, or name the folder of its files: --data-dir FOLDER, "
                "or export ROBUSTLVQ_DATA=FOLDER",
            )
        else:
            found = open_dataset(reference, subject.registry, subject.data_dir)
            classes = len(set(found.y.tolist()))
            size = f"{len(found):,} samples of {classes} classes"
            yield ok(label, f"{size}, {_where(files)}")
    except RobustLVQError as error:
        yield told(
            label,
            error,
            f"remove that file, or put a whole one there; else ask the authors of {provider}",
        )


def _where(files: Sequence[Path]) -> str:
    """The file, or the folders of several."""
    if len(files) == 1:
        return f"in {files[0]}"
    return f"in {', '.join(dict.fromkeys(str(path.parent) for path in files))}"
