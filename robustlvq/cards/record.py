"""Writing a card: which file, and what of it stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from robustlvq.api import RobustLVQError, UsageError
from robustlvq.cards.file import CardFile, card_path, check_licence, read_card, write_card
from robustlvq.cards.measure import attacked
from robustlvq.core.identity import identify
from robustlvq.core.paths import expanded, ledger_path
from robustlvq.core.registry import Registry
from robustlvq.data import open_dataset
from robustlvq.ledger import open_run

__all__ = ["Recorded", "record_card"]


@dataclass(frozen=True)
class Recorded:
    """A card that was written.

    Attributes:
        path: Where.
        card: What is in it.
        problems: Why nothing of the file that was there is kept, one line each.
    """

    path: Path
    card: CardFile
    problems: tuple[str, ...] = ()


def record_card(
    name: str,
    *,
    runs: Sequence[str] = (),
    ledger: str | None = None,
    certificates: Sequence[Path] = (),
    dataset: str = "mnist-5k",
    data_dir: Path | None = None,
    licence: str | None = None,
    fresh: bool = False,
    output: Path | None = None,
    registry: Registry | None = None,
) -> Recorded:
    """Write what was measured of a model into its card.

    Args:
        name: A model with a weight file.
        runs: Finished runs in which it was attacked.
        ledger: The ledger that they are in; the default one if not given.
        certificates: CSV files of ``robustlvq certify --out``.
        dataset: What these are of.
        data_dir: Where dataset files are looked for first.
        licence: Of the weights; None leaves what the card says.
        fresh: Leave out what the card says by now.
        output: Where to write, instead of beside the weights.
        registry: Defaults to everything that is installed.

    Raises:
        UsageError: There is nothing to write, or it was not measured on these weights.
        OutputError: The card cannot be written.
        RobustLVQError: The model, a run, a file or the dataset cannot be read.
    """
    if not runs and not certificates and licence is None:
        raise UsageError(
            "say what to write: --run RUN, --certificates FILE or --licence TEXT; to read the "
            f"card: robustlvq show model {name}"
        )
    registry = registry or Registry.discover()
    identity = identify(name, registry)
    if identity.path is None:
        raise UsageError(f"{name!r} has no weight file that a card could be of")
    path = card_path(identity.path) if output is None else expanded(output)
    card, problems = CardFile(str(identity.facts["sha256"])), []
    if path.exists() and not fresh:
        try:
            there = read_card(path)
            if there.sha256 == card.sha256:
                card = there
            else:
                problems.append(f"{path} was of other weights")
        except RobustLVQError as error:
            if output is not None:
                # Not beside the weights, it may be anything.
                raise
            problems.append(str(error))
    for run in runs:
        found = open_run(run, expanded(ledger) if ledger is not None else ledger_path())
        card = card.with_attacked(attacked(found, identity, name))
    if certificates:
        from robustlvq.cards.certificates import certified

        data = open_dataset(dataset, registry, data_dir)
        reference = Path(dataset).name if dataset.endswith(".npz") else dataset
        for file in certificates:
            for entry in certified(expanded(file), identity, data, reference, registry):
                card = card.with_certified(entry)
    if licence is not None:
        card = replace(card, licence=check_licence(licence))
    write_card(path, card)
    return Recorded(path, card, tuple(problems))
