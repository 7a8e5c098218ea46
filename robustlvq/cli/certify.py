"""``robustlvq certify``."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robustlvq.cli.names import complete
from robustlvq.cli.output import print_json, print_rows, print_unavailable

if TYPE_CHECKING:
    from robustlvq.certification import CertifyResult, Progress

__all__ = ["certify"]

EPILOG = (
    "Examples:\n\n"
    "robustlvq certify -m glvq -n 1000 --norm l2,linf,l1,l0\n\n"
    "robustlvq certify -m gtlvq --norm linf --time-limit 1 --out gtlvq.csv\n\n"
    "exact: the share of samples whose adversarial distance is known, up to 0.01 %. lower, upper: "
    "medians; between them lies the median distance. certified: the share of samples that is "
    "proved to have no adversarial within t.\n\n"
    "Exit code: 0 all went well, 1 something failed, 2 wrong usage, 130 stopped; after 1 "
    "and 130, what was done by then is printed."
)


def certify(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Names, globs, or weight files; repeat it or use commas.",
            autocompletion=complete("models"),
            show_default=False,
        ),
    ] = None,
    norms: Annotated[
        str, typer.Option("--norm", help="l2, linf, l1, l0; several with commas.")
    ] = "l2",
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            "-d",
            help="A name, NAME:SPLIT, or an .npz file with x and y.",
            autocompletion=complete("datasets"),
        ),
    ] = "mnist-5k",
    samples: Annotated[
        str, typer.Option("--samples", "-n", help="How many samples, or 'all'.")
    ] = "100",
    time_limit: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Per sample, on average; what is left then is an interval.",
            show_default="none",
        ),
    ] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    batch_size: Annotated[int, typer.Option(help="Samples at a time.", show_default="auto")] = 0,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where dataset files are looked for first.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A CSV file for every sample's distances; one that is there is replaced.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help='Print JSON; inf is the text "inf".')
    ] = False,
) -> None:
    """Prove how far the closest adversarials are at least, exactly where that is possible."""
    from robustlvq.certification import certifiers_of, check_csv, write_csv
    from robustlvq.core.identity import architecture_of, identify
    from robustlvq.core.registry import Registry
    from robustlvq.errors import Cancelled, RobustLVQError, UnknownNameError, UsageError
    from robustlvq.run.plan import resolve_models, split_names

    registry = Registry.discover()
    print_unavailable(registry)
    known = [norm.value for norm in _norms()]
    chosen = split_names(norms)
    for norm in chosen:
        if norm not in known:
            raise UnknownNameError("norm", norm, known)
    if not chosen:
        raise UsageError("name at least one norm, for instance --norm l2")
    references = resolve_models(split_names(models or ()), registry)
    # Answers what cannot be certified at once, before torch is imported.
    for reference in references:
        identity = identify(reference, registry)
        for norm in _norms():
            if norm.value in chosen:
                certifiers_of(identity.spec.name, architecture_of(identity.spec), norm, registry)

    if out is not None:
        check_csv(out)

    import robustlvq

    results: list[CertifyResult] = []
    stopped = False
    failed: RobustLVQError | None = None
    for reference in references:
        for norm in chosen:
            if stopped or failed is not None:
                continue
            try:
                with _bar(f"{reference} {norm}") as progress:
                    result = robustlvq.certify(
                        reference,
                        dataset,
                        samples,
                        norm,
                        time_limit=time_limit,
                        device=device,
                        batch_size=batch_size,
                        data_dir=data_dir,
                        registry=registry,
                        progress=progress,
                    )
                results.append(result)
                stopped = not result.complete
            except KeyboardInterrupt:
                stopped = True
            except RobustLVQError as error:
                # What was done before it may have taken hours.
                failed = error
    if as_json and (results or failed is None):
        print_json({"results": [_plain(_summary(result)) for result in results]})
    elif results:
        print_rows([_row(result) for result in results])
    if out is not None and results:
        write_csv(out, results)
    if failed is not None:
        raise failed
    if stopped:
        raise Cancelled("stopped; what is printed is what was done")
    raise typer.Exit(int(bool(registry.unavailable)))


def _norms() -> list[Any]:
    from robustlvq.api import Norm

    return list(Norm)


def _summary(result: CertifyResult) -> dict[str, Any]:
    return {**result.summary(), "dataset": result.dataset, "certifiers": list(result.certifiers)}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def _row(result: CertifyResult) -> dict[str, str]:
    values = result.summary()
    limit, certified = values["threshold"], values["certified_accuracy"]
    return {
        "model": result.model,
        "norm": result.norm.symbol,
        "n": f"{len(result):,}",
        "exact": _percent(values["exact"]),
        "lower": f"{values['median_lower']:.4g}",
        "upper": f"{values['median_upper']:.4g}",
        "t": "" if limit is None else f"{limit:g}",
        "certified": "" if certified is None else _percent(certified),
        "attackable": "" if certified is None else _percent(1 - values["accuracy_at_most"]),
        "ms/sample": f"{1000 * values['seconds']:.3g}",
    }


def _percent(share: float) -> str:
    # 99.96 % is not all of them.
    return "100%" if share == 1 else f"{min(share, 0.9999) * 100:.4g}%"


class _bar:  # noqa: N801
    """A progress bar on stderr, where that is a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: Any = None

    def __enter__(self) -> Progress:
        from tqdm import tqdm

        self._bar = tqdm(desc=self._what, unit="sample", leave=False, disable=None, file=sys.stderr)

        def progress(done: int, total: int) -> None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

        return progress

    def __exit__(self, *_: object) -> None:
        self._bar.close()
