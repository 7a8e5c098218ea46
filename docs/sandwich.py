"""Draw the picture of docs/certificates.md: ``python docs/sandwich.py``.

It runs a benchmark with certificates (what the ledger has is used) and shows every sample of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import robustlvq
from robustlvq.report.certificates import Sandwich

ATTACKS = "deepfool-l2,bim-l2,fgm,boundary,deepfool-linf,bim-linf,fgsm"
SHOWN = (("gtlvq", "l2", "GTLVQ"), ("gtlvq", "linf", "GTLVQ"))
COLOURS = {
    "boundary": "#7b3294",
    "deepfool": "#d7191c",
    "bim": "#e69f00",
    "fgm": "#0571b0",
    "fgsm": "#0571b0",
}
WIDTH, HEIGHT, LEFT, TOP = 400, 290, 52, 44


def main() -> None:
    result = robustlvq.bench("gtlvq", ATTACKS, samples=60, certify=True)
    assert result.certificates is not None  # noqa: S101
    found = {(each.model, each.norm.value): each for each in result.certificates.sandwiches}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * (WIDTH + LEFT + 20)} '
        f'{HEIGHT + 128}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for place, (model, norm, title) in enumerate(SHOWN):
        x = LEFT + place * (WIDTH + LEFT + 20)
        parts += [
            f'<g transform="translate({x},{TOP})">',
            *panel(found[model, norm], title),
            "</g>",
        ]
    parts.append("</svg>\n")
    path = Path(__file__).parent / "images" / "sandwich.svg"
    path.write_text("\n".join(parts), encoding="utf-8")


def panel(each: Sandwich, title: str) -> Iterable[str]:
    """One model in one norm, samples from the least robust to the most."""
    order = [int(i) for i in each.upper.argsort(kind="stable") if each.upper[i] > 0]
    top = 1.6 * float(each.upper[order].max())

    def x(rank: int) -> float:
        return (rank + 0.5) * WIDTH / len(order)

    def y(value: float) -> float:
        return HEIGHT * (1 - value / top)

    yield f'<text y="-16" font-size="14" font-weight="bold">{title}, {each.norm.symbol}</text>'
    power = 10.0 ** math.floor(math.log10(top / 2))
    step = power if top / power < 6 else 2 * power
    for tick in range(int(top / step) + 1):
        height = y(tick * step)
        yield f'<path d="M0 {height:.1f}H{WIDTH}" stroke="#dddddd"/>'
        yield f'<text x="-6" y="{height + 4:.1f}" text-anchor="end">{tick * step:.3g}</text>'
    if each.threshold is not None and each.threshold < top:
        height = y(each.threshold)
        yield f'<path d="M0 {height:.1f}H{WIDTH}" stroke="#555555" stroke-dasharray="5 4"/>'
        yield f'<text x="4" y="{height - 4:.1f}" fill="#555555">t = {each.threshold:g}</text>'
    corners = [f"{x(r):.1f} {y(each.lower[i]):.1f}" for r, i in enumerate(order)]
    yield (
        f'<path d="M{x(0):.1f} {y(0):.1f}L{"L".join(corners)}L{x(len(order) - 1):.1f} {y(0):.1f}Z" '
        'fill="#cfe8cf"/>'
    )
    for rank, i in enumerate(order):
        at = x(rank)
        if not each.known[i]:
            yield (
                f'<path d="M{at:.1f} {y(each.lower[i]):.1f}V{y(each.upper[i]):.1f}" '
                'stroke="#1b7837" stroke-width="3"/>'
            )
        height = y(each.upper[i])
        yield f'<path d="M{at - 3:.1f} {height:.1f}h6" stroke="#000000" stroke-width="2"/>'
        for name, delta in each.attacks.items():
            colour = COLOURS[name.split("-")[0]]
            if delta[i] <= top:
                yield f'<circle cx="{at:.1f}" cy="{y(delta[i]):.1f}" r="2.4" fill="{colour}"/>'
            else:
                yield f'<path d="M{at - 3:.1f} 3l3 -6l3 6Z" fill="{colour}"/>'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#333333"/>'
    yield (
        f'<text x="{WIDTH / 2}" y="{HEIGHT + 18}" text-anchor="middle">'
        f"{len(order)} test images, from the least robust to the most</text>"
    )
    yield from legend(each)


def legend(each: Sandwich) -> Iterable[str]:
    """What the marks mean, in two rows below the panel."""
    end = "exact distance" if each.known.all() else "point of the certifier"
    entries = [
        ('<rect y="-9" width="12" height="9" fill="#cfe8cf"/>', "proved to be safe"),
        ('<path d="M1 -4h10" stroke="#000000" stroke-width="2"/>', end),
    ]
    if not each.known.all():
        bar = '<path d="M6 -10v10" stroke="#1b7837" stroke-width="3"/>'
        entries.append((bar, "unknown"))
    for name in each.attacks:
        dot = f'<circle cx="6" cy="-4" r="3" fill="{COLOURS[name.split("-")[0]]}"/>'
        entries.append((dot, name))
    entries.append(('<path d="M3 -1l3 -6l3 6Z" fill="#333333"/>', "farther, or none found"))
    across, down = 0.0, HEIGHT + 42
    for mark, text in entries:
        room = 24 + 6.6 * len(text)
        if across + room > WIDTH + 20:
            across, down = 0.0, down + 18
        yield f'<g transform="translate({across:.0f},{down})">{mark}<text x="16">{text}</text></g>'
        across += room


if __name__ == "__main__":
    main()
