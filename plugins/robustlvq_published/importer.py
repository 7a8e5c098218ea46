"""The importer ``published``: which file holds which model, and how each is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from robustlvq.api import ImportedWeights, WeightsError
from robustlvq_published import checkpoint, graph

__all__ = ["Published"]

GRAPHS = {
    "cnn.pb": "cnn",
    "glvq.pb": "glvq",
    "glvq_large.pb": "glvq-128",
    "gmlvq.pb": "gmlvq",
    "gmlvq_large.pb": "gmlvq-49",
    "gtlvq.pb": "gtlvq",
    "gtlvq_large.pb": "gtlvq-10",
}
"""The files of the paper's repository, and the model that each holds."""

NATURAL = "natural"
"""How the MNIST challenge calls its network that is not trained adversarially."""


class Published:
    """Reads the paper's frozen graphs and the checkpoints of the MNIST challenge."""

    def find(self, path: Path) -> Mapping[str, Path]:
        """The files of published models, by what the models are called here.

        Args:
            path: A frozen graph, a checkpoint, or a folder of either.
        """
        graphs = [path] if path.name in GRAPHS else [path / name for name in GRAPHS]
        found = {GRAPHS[file.name]: file for file in graphs if file.is_file()}
        if not found:
            for folder, file in checkpoint.find(path):
                name = "madry-natural" if folder == NATURAL else "madry"
                if name in found:
                    raise WeightsError(
                        f"{path} holds several checkpoints ({found[name].name} and {file.name}); "
                        "name the one to import"
                    )
                found[name] = file
        return found

    def read(self, path: Path) -> ImportedWeights:
        """The weights in one of these files.

        Raises:
            WeightsError: It is damaged, holds another model, or needs a package that is not
                installed.
        """
        if path.suffix == ".pb":
            return graph.read(path, GRAPHS[path.name])
        return checkpoint.read(path)
