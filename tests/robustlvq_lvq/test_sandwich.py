"""lower <= exact <= every attack, on every sample of a benchmark run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import robustlvq
from robustlvq.api import Norm

ATTACKS = {
    Norm.L2: "exact-l2,deepfool-l2,bim-l2,fgm,boundary",
    Norm.LINF: "exact-linf,deepfool-linf,bim-linf,fgsm",
    Norm.L1: "exact-l1,fgm-l1,bim-l1",
    Norm.L0: "exact-l0,pointwise-l0,fmn-l0",
}
FEW = {"boundary": {"iterations": 20}}


@pytest.mark.parametrize("norm", Norm)
def test_no_attack_is_closer_than_what_is_proved(norm: Norm, tmp_path: Path) -> None:
    result = robustlvq.bench(
        "glvq,gmlvq,gtlvq",
        ATTACKS[norm],
        samples=5,
        attack_options=FEW if norm is Norm.L2 else {},
        ledger=tmp_path / "ledger.db",
        workers=1,
        certify=True,
    )
    assert not result.failures
    assert result.certificates is not None
    assert not result.certificates.failures
    assert [each.model for each in result.certificates.sandwiches] == ["glvq", "gmlvq", "gtlvq"]
    for each in result.certificates.sandwiches:
        assert (each.lower <= each.upper).all()
        assert (each.known.all() and np.isfinite(each.upper).all()) or each.model == "gtlvq"
        assert len(each.attacks) == ATTACKS[norm].count(",") + 1
        for delta in each.attacks.values():
            searched = delta > 0
            assert searched.sum() >= 3
            assert (delta >= each.lower * (1 - 1e-6))[searched].all()
            assert (delta >= each.exact * (1 - 1e-6))[searched & each.known].all()
        # These are the certified points, up to what float32 needs.
        exact = each.attacks[f"exact-{norm}"]
        np.testing.assert_allclose(exact, each.upper, rtol=2e-3, atol=1e-6)
