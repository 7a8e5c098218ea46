"""Profile ``strong`` on tiny models: never weaker, near the optimum, not fooled by scale."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from robustlvq.api import AttackSpec, Bounds, Norm
from robustlvq.core.registry import Registry
from robustlvq.run.plan import resolve_attacks
from robustlvq_foolbox.catalogue import catalogue
from robustlvq_foolbox.projection import nearest_boundary
from tests.robustlvq_foolbox.attacks import Plane, attacked, digits, searched_in

SPECS = {spec.name: spec for spec in catalogue()}
ROWS = ["fgm", "deepfool-l2", "bim-l2", "fgsm", "deepfool-linf", "bim-linf", "mim"]
SCAN = {"epsilons": 200}
RADIUS = {"iterations": 5, "searches": 6, "steps": 12, "restarts": 1}
QUICK: dict[str, dict[str, Any]] = {
    "fgm": SCAN,
    "fgsm": SCAN,
    "bim-l2": RADIUS,
    "bim-linf": RADIUS,
    "mim": RADIUS,
    "deepfool-l2": {"returns": 8},
    "deepfool-linf": {"returns": 8},
}


def build(name: str, profile: str = "strong", quick: bool = True) -> Any:
    spec: AttackSpec = SPECS[name]
    settings = QUICK[name] if quick else {}
    known = vars(spec.configure(profile))
    return spec.build(
        profile, spec.configure(profile, {k: v for k, v in settings.items() if k in known})
    )


@pytest.mark.parametrize("name", ROWS)
def test_no_sample_is_weaker_than_in_the_paper(name: str) -> None:
    x, y, model = digits(30)
    paper = attacked(build(name, "paper"), model, x, y)
    strong = attacked(build(name), model, x, y)
    assert (strong.best_distance <= paper.best_distance).all()
    assert (strong.best_distance < paper.best_distance).any()
    assert strong.best_distance.isfinite().all()
    assert strong.zero_gradients.sum() == 0


@pytest.mark.parametrize("name", ROWS)
def test_results_do_not_depend_on_the_batch(name: str) -> None:
    x, y, model = digits(20)
    attack = build(name)
    rows = torch.arange(len(x))
    together, sevens, alone = (
        searched_in(batches, attack, model, x, y)
        for batches in (rows.split(32), rows.split(7), rows[::3].split(1))
    )
    assert all(torch.equal(a, b) for a, b in zip(together, sevens, strict=True))
    assert all(torch.equal(a[::3], b) for a, b in zip(together, alone, strict=True))


@pytest.fixture
def plane() -> tuple[torch.Tensor, torch.Tensor, Plane]:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(36, generator=generator)
    x = 0.5 + 0.05 * torch.randn(20, 1, 6, 6, generator=generator)
    return x, weight, Plane(weight, -0.5 * float(weight.sum()))


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_the_distance_of_a_plane_is_reached_at_every_scale(
    plane: tuple[torch.Tensor, torch.Tensor, Plane], name: str, scale: float
) -> None:
    x, weight, model = plane
    y = model(x).argmax(1)
    dual = 1 if SPECS[name].norm is Norm.LINF else 2
    exact = model.gap(x).abs().double() / weight.double().norm(dual)
    scaled = Plane(weight * scale, -0.5 * float(weight.sum()) * scale)
    found = attacked(build(name, quick=False), scaled, x, y).best_distance
    # What rounding of the scores decides at the boundary itself.
    assert (found >= exact * 0.999 - 1e-6).all()
    assert (found <= exact * 1.01).all()


@pytest.mark.parametrize("name", ["fgm", "bim-l2"])
def test_a_saturated_plane_hides_from_the_paper_alone(
    plane: tuple[torch.Tensor, torch.Tensor, Plane], name: str
) -> None:
    x, weight, _ = plane
    model = Plane(weight * 1e4, -0.5 * float(weight.sum()) * 1e4)
    y = model(x).argmax(1)
    far = model.gap(x).abs() > 100
    assert far.sum() > 15
    assert attacked(build(name, "paper"), model, x[far], y[far]).best_distance.isinf().all()
    strong = attacked(build(name), model, x[far], y[far])
    assert strong.best_distance.isfinite().all()
    assert not strong.zero_gradients.any()


@pytest.mark.parametrize("name", ["deepfool-l2", "deepfool-linf"])
def test_the_box_is_part_of_the_nearest_boundary(name: str) -> None:
    """The largest weight cannot be used: its feature is at its bound already."""
    weight = torch.tensor([10.0, 1.0, 2.0, 1.0])
    model = Plane(weight, -10.0 - 0.8)
    x, y = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 2, 2), torch.tensor([0])
    exact = 0.8 / 6**0.5 if SPECS[name].norm is Norm.L2 else 0.8 / 4
    paper = float(attacked(build(name, "paper", quick=False), model, x, y).best_distance)
    strong = float(attacked(build(name, quick=False), model, x, y).best_distance)
    assert strong == pytest.approx(exact, rel=0.005)
    assert strong < paper * 0.97 or paper == pytest.approx(exact, rel=0.06)


@pytest.mark.parametrize("norm", [Norm.L2, Norm.LINF])
def test_the_nearest_boundary_is_the_solution_of_its_convex_problem(norm: Norm) -> None:
    """Against SciPy: the shortest d with w d >= b and x + d in the box, two boundaries each."""
    from scipy.optimize import linprog, minimize

    generator = torch.Generator().manual_seed(3)
    clean = torch.rand(6, 5, generator=generator, dtype=torch.float64)
    away = torch.randn(6, 2, 5, generator=generator, dtype=torch.float64)
    gap = 0.6 * torch.rand(6, 2, generator=generator, dtype=torch.float64) + 0.05
    steps, there = nearest_boundary(clean, away, gap, norm, Bounds())
    for row in range(6):
        lengths = []
        for w, b in zip(away[row].numpy(), gap[row].numpy(), strict=True):
            low, high = (-clean[row]).numpy(), (1 - clean[row]).numpy()
            if norm is Norm.L2:
                solved = minimize(
                    lambda d: (d * d).sum(),
                    (low + high) / 2,
                    bounds=list(zip(low, high, strict=True)),
                    constraints={"type": "ineq", "fun": lambda d, w=w, b=b: d @ w - b},
                    tol=1e-12,
                )
                if solved.success:
                    lengths.append(float((solved.x**2).sum() ** 0.5))
            else:
                # Variables d and s >= |d_i|.
                import numpy as np

                rows = [np.append(-w, 0.0)]
                limits = [-b]
                for i in range(5):
                    for sign in (1.0, -1.0):
                        line = np.zeros(6)
                        line[i], line[5] = sign, -1.0
                        rows.append(line)
                        limits.append(0.0)
                bounds = [*zip(low, high, strict=True), (0, None)]
                solved = linprog(np.eye(6)[5], np.stack(rows), limits, bounds=bounds)
                if solved.success:
                    lengths.append(float(solved.fun))
        assert bool(there[row]) is bool(lengths)
        if lengths:
            own = steps[row].norm() if norm is Norm.L2 else steps[row].abs().max()
            assert float(own) == pytest.approx(min(lengths), rel=1e-4)


def test_a_boundary_outside_the_box_is_none() -> None:
    clean, away = torch.full((1, 3), 0.5), torch.ones(1, 1, 3)
    step, there = nearest_boundary(clean, away, torch.tensor([[1.6]]), Norm.L2, Bounds())
    assert not there.any()
    step, there = nearest_boundary(clean, away, torch.tensor([[1.2]]), Norm.L2, Bounds())
    assert there.all()
    assert torch.allclose(step, torch.full((1, 3), 0.4), atol=1e-5)


def test_a_flat_start_is_left_at_random() -> None:
    """Without any gradient at the clean input, the iterative attacks still find the way."""

    class Plateau(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rise = ((x.flatten(1) - 0.5).abs() - 0.01).clamp_min(0).sum(1)
            return torch.stack([torch.full_like(rise, 0.5), rise], 1)

    x, y = torch.full((3, 1, 3, 3), 0.5), torch.zeros(3, dtype=torch.int64)
    for name in ("bim-l2", "bim-linf", "mim"):
        assert attacked(build(name, "paper"), Plateau(), x, y).best_distance.isinf().all()
        found = attacked(build(name), Plateau(), x, y)
        assert found.best_distance.isfinite().all()
        assert (found.zero_gradients > 0).all()


def test_all_means_more_under_strong() -> None:
    registry = Registry.discover()
    paper, strong = (resolve_attacks(["all"], registry, p) for p in ("paper", "strong"))
    assert len(paper) == 12
    assert set(strong) - set(paper) == {
        "carlini-wagner",
        "brendel-bethge-l2",
        "brendel-bethge-linf",
        "fmn-l0",
        "fmn-linf",
        "ddn",
        "hop-skip-jump-l2",
        "hop-skip-jump-linf",
    }
    assert resolve_attacks(["all"], registry, "foolbox") == paper


def test_what_needs_no_gradient_is_the_same_as_in_the_paper() -> None:
    same = {name for name, spec in SPECS.items() if spec.variant("strong") == spec.variant("paper")}
    assert {"boundary", "pointwise-l2", "pointwise-l0", "salt-and-pepper", "gaussian-blur"} <= same
    assert not same & set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_the_papers_keys_keep_their_meaning(name: str) -> None:
    paper, strong = (vars(SPECS[name].configure(profile)) for profile in ("paper", "strong"))
    assert {key: strong[key] for key in paper if key != "loss"} == {
        key: value for key, value in paper.items() if key != "loss"
    }
    assert strong.get("loss", "margin") == "margin"
