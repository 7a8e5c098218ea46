"""What this package registers; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from robustlvq.api import AttackSpec, CertifierSpec, ModelSpec, Norm, ObjectiveSpec, hookimpl
from robustlvq_lvq.config import (
    CertifiedMarginConfig,
    ExactConfig,
    GLVQConfig,
    GMLVQConfig,
    GTLVQConfig,
    SigmoidCostConfig,
)

GLVQ, GMLVQ, GTLVQ = (
    "robustlvq_lvq.glvq:GLVQ",
    "robustlvq_lvq.gmlvq:GMLVQ",
    "robustlvq_lvq.gtlvq:GTLVQ",
)
_VERSIONS = {Norm.L2: 2}
"""Of certificates; 2 finds points that 1 missed by rounding errors."""


@hookimpl
def robustlvq_models() -> Sequence[ModelSpec]:
    """The paper's LVQ models, with one and with several prototypes per class (Table 1)."""
    return [
        ModelSpec(
            "glvq",
            "Generalized LVQ, 1 prototype per class",
            GLVQ,
            GLVQConfig,
            weights="robustlvq_lvq:weights/glvq.safetensors",
            recipe="robustlvq_lvq:recipes/glvq.yaml",
        ),
        ModelSpec(
            "glvq-128",
            "Generalized LVQ, 128 prototypes per class",
            GLVQ,
            GLVQConfig,
            defaults={"prototypes_per_class": 128},
            weights="robustlvq_lvq:weights/glvq-128.safetensors",
            recipe="robustlvq_lvq:recipes/glvq-128.yaml",
        ),
        ModelSpec(
            "gmlvq",
            "Generalized Matrix LVQ, 1 prototype per class",
            GMLVQ,
            GMLVQConfig,
            weights="robustlvq_lvq:weights/gmlvq.safetensors",
            recipe="robustlvq_lvq:recipes/gmlvq.yaml",
        ),
        ModelSpec(
            "gmlvq-49",
            "Generalized Matrix LVQ, 49 prototypes per class",
            GMLVQ,
            GMLVQConfig,
            defaults={"prototypes_per_class": 49},
            weights="robustlvq_lvq:weights/gmlvq-49.safetensors",
            recipe="robustlvq_lvq:recipes/gmlvq-49.yaml",
        ),
        ModelSpec(
            "gtlvq",
            "Generalized Tangent LVQ, 1 affine subspace per class",
            GTLVQ,
            GTLVQConfig,
            weights="robustlvq_lvq:weights/gtlvq.safetensors",
            recipe="robustlvq_lvq:recipes/gtlvq.yaml",
        ),
        ModelSpec(
            "gtlvq-10",
            "Generalized Tangent LVQ, 10 affine subspaces per class",
            GTLVQ,
            GTLVQConfig,
            defaults={"prototypes_per_class": 10},
            weights="robustlvq_lvq:weights/gtlvq-10.safetensors",
            recipe="robustlvq_lvq:recipes/gtlvq-10.yaml",
        ),
        ModelSpec(
            "glvq-robust",
            "Generalized LVQ, 400 prototypes per class, trained for certified L2 distances",
            GLVQ,
            GLVQConfig,
            defaults={"prototypes_per_class": 400},
            weights="robustlvq_lvq:weights/glvq-robust.safetensors",
            recipe="robustlvq_lvq:recipes/glvq-robust.yaml",
        ),
        ModelSpec(
            "gtlvq-robust",
            "Generalized Tangent LVQ, 10 per class, trained for certified L2 distances",
            GTLVQ,
            GTLVQConfig,
            defaults={"prototypes_per_class": 10},
            weights="robustlvq_lvq:weights/gtlvq-robust.safetensors",
            recipe="robustlvq_lvq:recipes/gtlvq-robust.yaml",
        ),
    ]


@hookimpl
def robustlvq_objectives() -> Sequence[ObjectiveSpec]:
    """What prototype models may be trained by, other than the paper's cost."""
    return [
        ObjectiveSpec(
            "certified-margin",
            "Hinge loss of the distance between two prototypes' regions: GLVQ (L2, L∞), GTLVQ (L2)",
            "robustlvq_lvq.margin:CertifiedMargin",
            CertifiedMarginConfig,
        ),
        ObjectiveSpec(
            "sigmoid-cost",
            "LVQ models: a sigmoid of the relative distance mu, in place of mu itself",
            "robustlvq_lvq.sigmoid:SigmoidCost",
            SigmoidCostConfig,
        ),
    ]


@hookimpl
def robustlvq_attacks() -> Sequence[AttackSpec]:
    """The points that attain certified distances; of no use for other models."""
    return [
        AttackSpec(
            f"exact-{norm}",
            f"LVQ models only: the closest adversarial in {norm.symbol}, or one near it",
            norm,
            "white",
            "robustlvq_lvq.exact:Exact",
            ExactConfig,
            family="exact",
            extra=True,
            order=200,
            version=_VERSIONS.get(norm, 1),
        )
        for norm in Norm
    ]


@hookimpl
def robustlvq_certifiers() -> Sequence[CertifierSpec]:
    """Exact distances of GLVQ and GMLVQ; of GTLVQ in L2 where they can be proved, else bounds."""
    return [
        CertifierSpec(
            f"lvq-{norm}",
            f"Distances of LVQ models in {norm.symbol}: exact, or between proved bounds",
            norm,
            f"robustlvq_lvq.certifiers:{norm}",
            (GLVQ, GMLVQ, GTLVQ),
            version=_VERSIONS.get(norm, 1),
        )
        for norm in Norm
    ]
