"""Draw the picture of the README from a saved run: ``python docs/pictures.py RUN``.

The run: ``robustlvq bench -m glvq,gmlvq,gtlvq -a all -n 100``.
"""

import io
import sys
from pathlib import Path

from rich.console import Console

from robustlvq import open_result

COMMAND = "robustlvq bench -m glvq,gmlvq,gtlvq -a all -n 100"


def main(run: str) -> None:
    console = Console(record=True, width=78, file=io.StringIO())
    console.print(open_result(run).table())
    svg = console.export_svg(title=COMMAND)
    (Path(__file__).parent / "images" / "bench.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
