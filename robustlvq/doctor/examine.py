"""All sections, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from robustlvq.core.paths import expanded
from robustlvq.doctor import data, devices, installation, ledger, places, plugins, weights
from robustlvq.doctor.finding import Finding, Mark, guarded
from robustlvq.doctor.subject import Subject
from robustlvq.errors import UsageError

__all__ = ["Section", "examine"]

Check = Callable[[Subject], Iterable[Finding]]

# What needs no torch comes first in a section: it is what is left to be said if torch is broken.
SECTIONS: dict[str, tuple[Check, ...]] = {
    "Installation": (
        installation.python,
        installation.code,
        installation.requirements,
        installation.torch,
        installation.extras,
        installation.entry_points,
        places.folders,
    ),
    "Plugins": (plugins.plugins, plugins.factories, plugins.recipes),
    "Devices": (devices.cpu, devices.workers, devices.cuda),
    "Data": (data.folder, data.datasets),
    "Weights": (weights.weights,),
    "Ledger": (ledger.ledger,),
}


@dataclass(frozen=True)
class Section:
    """Findings that belong together."""

    name: str
    findings: tuple[Finding, ...]

    def count(self, mark: Mark) -> int:
        """How many findings have this mark."""
        return sum(finding.mark is mark for finding in self.findings)


def examine(*, ledger: Path | None = None, data_dir: Path | None = None) -> Iterator[Section]:
    """Check everything, section by section; changes nothing and downloads nothing.

    Args:
        ledger: The ledger to check; by default the one that ``bench`` uses.
        data_dir: Where dataset files are looked for first.

    Raises:
        UsageError: ``data_dir`` does not exist.
    """
    if data_dir is not None and not expanded(data_dir).is_dir():
        raise UsageError(f"the data folder {data_dir} does not exist")
    subject = Subject(ledger, data_dir)
    for name, checks in SECTIONS.items():
        findings = [
            finding
            for check in checks
            for finding in guarded(check.__name__.replace("_", " "), check, subject)
        ]
        yield Section(name, tuple(findings))
