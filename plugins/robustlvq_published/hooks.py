"""What this package registers; imports neither torch nor TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from robustlvq.api import ImporterSpec, hookimpl


@hookimpl
def robustlvq_importers() -> Sequence[ImporterSpec]:
    """The models of the paper's Table 1, as their authors published them."""
    return [
        ImporterSpec(
            "published",
            "The paper's models (.pb) and Madry's (checkpoint, .npz or .safetensors)",
            "robustlvq_published.importer:Published",
        )
    ]
