"""The importer ``published``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from robustlvq.api import ImportedWeights, WeightsError
from robustlvq_published import checkpoint, finding, graph

__all__ = ["Published"]


class Published:
    """Reads the paper's frozen graphs and the checkpoints of the MNIST challenge."""

    def find(self, path: Path) -> Mapping[str, Path]:
        """The files of published models, by what the models are called here.

        Args:
            path: A frozen graph, a checkpoint, or a folder of either.

        Raises:
            WeightsError: There is none, or several checkpoints of one model.
        """
        below = finding.folders(path)
        graphs = finding.graphs(path, below)
        found = {**graphs, **finding.checkpoints(path, below, converted=not graphs)}
        if not found and path.exists():
            raise WeightsError(
                f"{path} {'holds' if path.is_dir() else 'is'} none of the published files: "
                f"{', '.join(finding.GRAPHS)}, or a checkpoint (.index, .npz, .safetensors) of the "
                "MNIST challenge"
            )
        return found

    def read(self, path: Path) -> ImportedWeights:
        """The weights in one of these files.

        Raises:
            WeightsError: It is damaged, holds another model, or needs a package that is not
                installed.
        """
        if path.name in finding.GRAPHS:
            return graph.read(path, finding.GRAPHS[path.name])
        return checkpoint.read(path)
