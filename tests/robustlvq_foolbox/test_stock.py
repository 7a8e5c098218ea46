"""Stock attacks on models whose adversarial distances are known in closed form."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from robustlvq.api import (
    AttackError,
    AttackSpec,
    Norm,
    Oracle,
    Outcome,
    Target,
    attack_samples,
    distance,
)
from robustlvq_foolbox import stock
from robustlvq_foolbox.catalogue import catalogue
from robustlvq_foolbox.stock_config import StockConfig

torch.set_num_threads(1)

SPECS = {spec.name: spec for spec in catalogue()}
SHAPE = (1, 4, 4)
WEIGHT = torch.tensor([[1.0, -2.0, 0.5, 1.5] * 4, [-0.5, 1.0, -1.0, 0.5] * 4]) / 4

# What makes the slow ones fast enough here. Too many steps are no better on a linear model.
FAST: Mapping[str, Mapping[str, Any]] = {
    "blended-noise": {"steps": 50, "directions": 50},
    "boundary": {"steps": 200},
    "brendel-bethge-l0": {"steps": 20},
    "brendel-bethge-l1": {"steps": 20},
    "brendel-bethge-l2": {"steps": 20},
    "brendel-bethge-linf": {"steps": 20},
    "carlini-wagner": {"binary_search_steps": 4, "steps": 60, "stepsize": 0.05},
    "ead": {"binary_search_steps": 5, "steps": 60, "initial_stepsize": 0.05},
    "gaussian-blur": {"steps": 50},
    "gen-attack": {"steps": 10, "search_steps": 3},
    "hop-skip-jump-l2": {"steps": 3, "initial_gradient_eval_steps": 20},
    "hop-skip-jump-linf": {"steps": 3, "initial_gradient_eval_steps": 20},
    "adam-pgd-l1": {"steps": 10, "search_steps": 5},
    "adam-pgd-l2": {"steps": 10, "search_steps": 5},
    "adam-pgd-linf": {"steps": 10, "search_steps": 5},
    "gaussian-noise": {"repeats": 20, "search_steps": 5},
    "gaussian-noise-clipping-aware": {"repeats": 20, "search_steps": 5},
    "pgd-l1": {"search_steps": 3},
    "pgd-l2": {"search_steps": 5},
    "pgd-linf": {"search_steps": 5},
    "uniform-noise-clipping-aware": {"repeats": 20, "search_steps": 5},
    "uniform-noise-l2": {"repeats": 20, "search_steps": 5},
    "uniform-noise-linf": {"repeats": 20, "search_steps": 5},
    "salt-and-pepper": {"steps": 100},
}
# A blurred or negative image, or one faded to grey, need not be of another class.
MAY_MISS = {"gaussian-blur", "inversion", "contrast-reduction", "contrast-reduction-linear"}
# On a hyperplane the minimum is easy for these: the factor that they have to stay within.
NEAR = {
    "fgm": 1.05,
    "deepfool-l2": 1.05,
    "bim-l2": 1.1,
    "pgd-l2": 1.3,
    "ddn": 1.1,
    "carlini-wagner": 1.2,
    "mim-l2": 1.1,
    "fgsm": 1.05,
    "bim-linf": 1.1,
    "pgd-linf": 1.3,
    "deepfool-linf": 1.05,
    "fmn-linf": 1.2,
}


class Linear(torch.nn.Module):
    """Two classes, the second one where w.x > 0.3; written row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(WEIGHT[0].clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        margin = (x.flatten(1) * self.w).sum(1) - 0.3
        return torch.stack([-margin / 2, margin / 2], 1)

    def exact(self, x: torch.Tensor, norm: Norm) -> torch.Tensor:
        """Distance to the hyperplane without regard to the box, a lower bound within it."""
        w = self.w.detach().double()
        margin = ((x.flatten(1).double() * w).sum(1) - 0.3).abs()
        if norm is Norm.L0:
            # A pixel moves w.x by less than |w_i|: at least so many of the largest are needed.
            reach = w.abs().sort(descending=True).values.cumsum(0)
            return (reach[None] < margin[:, None]).sum(1) + 1.0
        dual = {Norm.L1: w.abs().max(), Norm.L2: w.norm(), Norm.LINF: w.abs().sum()}[norm]
        quotient: torch.Tensor = margin / dual
        return quotient


def samples(n: int) -> torch.Tensor:
    return torch.rand((n, *SHAPE), generator=torch.Generator().manual_seed(3)) * 0.8 + 0.1


def run(
    spec: AttackSpec, x: torch.Tensor, model: torch.nn.Module | None = None, **options: Any
) -> Outcome:
    target = Target.of(model or Linear())
    y = target.module(x).argmax(1)
    attack = spec.build(
        "foolbox", spec.configure("foolbox", {**FAST.get(spec.name, {}), **options})
    )
    return attack_samples(target, attack, spec.norm, x, y, seeds=[7 + i for i in range(len(x))])


@pytest.mark.parametrize(
    "name",
    [
        # numba compiles each of the four for half a minute.
        pytest.param(name, marks=[pytest.mark.slow] if name.startswith("brendel") else [])
        for name in SPECS
    ],
)
def test_finds_verified_adversarials_no_closer_than_the_hyperplane(name: str) -> None:
    spec, x, model = SPECS[name], samples(4), Linear()
    if spec.family == "brendel-bethge":
        pytest.importorskip("numba", reason="Brendel-Bethge needs numba")
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    outcome = run(spec, x)
    assert outcome.failures == ()
    found = outcome.distances[spec.norm]
    hit = found.isfinite()
    points = outcome.adversarials
    assert ((points >= 0) & (points <= 1)).all()
    assert (model(points).argmax(1) != model(x).argmax(1))[hit].all()
    assert torch.equal(found[hit], distance(x, points, spec.norm)[hit])
    exact = model.exact(x, spec.norm)
    assert (found >= exact * (1 - 1e-5)).all()
    assert hit.all() or name in MAY_MISS
    if name in NEAR:
        assert (found <= exact * NEAR[name]).all(), (found / exact).tolist()
    assert (outcome.forward > 0).all()
    if spec.box == "white":
        assert (outcome.backward > 0).all()
    else:
        assert (outcome.backward == 0).all()
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])  # type: ignore[index] # noqa: NPY002


@pytest.mark.parametrize(
    "name",
    ["salt-and-pepper", "boundary", "pgd-l2", "hop-skip-jump-l2", "gen-attack", "ddn", "mim"],
)
def test_a_sample_does_not_depend_on_its_batch(name: str) -> None:
    spec, x = SPECS[name], samples(4)
    y = Linear()(x).argmax(1)
    options: Mapping[str, Mapping[str, Any]] = {
        "boundary": {"steps": 50},
        "gen-attack": {"steps": 2, "population": 4, "search_steps": 2},
        "hop-skip-jump-l2": {"steps": 2},
        "mim": {"search_steps": 4},
        "ddn": {"steps": 20},
        "pgd-l2": {"steps": 8, "search_steps": 3},
        "salt-and-pepper": {"steps": 50},
    }
    config = spec.configure("foolbox", {**FAST.get(name, {}), **options.get(name, {})})
    attack, target = spec.build("foolbox", config), Target.of(Linear())

    def in_batches_of(size: int) -> torch.Tensor:
        parts = []
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            seeds = list(range(100, 104))[rows]
            part = attack_samples(target, attack, spec.norm, x[rows], y[rows], seeds=seeds)
            assert part.failures == ()
            parts.append(part.adversarials)
        return torch.cat(parts)

    together = in_batches_of(64)
    assert torch.equal(in_batches_of(1), together)
    assert torch.equal(in_batches_of(3), together)


def test_threads_do_not_mix_their_random_numbers() -> None:
    spec, x = SPECS["pgd-l2"], samples(4)
    few: Mapping[str, Any] = {"steps": 8, "search_steps": 3}
    expected = run(spec, x, **few).adversarials
    results: dict[int, torch.Tensor] = {}
    threads = [
        threading.Thread(target=lambda i=i: results.update({i: run(spec, x, **few).adversarials}))
        for i in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert all(torch.equal(result, expected) for result in results.values())


def test_seeds_matter() -> None:
    spec, x, target = SPECS["salt-and-pepper"], samples(3), Target.of(Linear())
    attack = spec.build("foolbox", spec.configure("foolbox", FAST[spec.name]))
    y = target.module(x).argmax(1)
    first, second = (
        attack_samples(target, attack, spec.norm, x, y, seeds=[seed] * 3) for seed in (1, 2)
    )
    assert not torch.equal(first.adversarials, second.adversarials)


class Fortress(torch.nn.Module):
    """Class 1 only where the first feature exceeds 1/2 *and* the others are all below 0.1.

    Random noise practically never gets there; a sample of class 1 leaves it at once.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        inside = torch.minimum(flat[:, 0] - 0.5, 0.1 - flat[:, 1:].amax(1))
        return torch.stack([-inside, inside], 1)


@pytest.mark.parametrize("name", ["pointwise-l2", "boundary", "hop-skip-jump-l2"])
def test_a_failed_start_concerns_its_own_sample(name: str) -> None:
    x = torch.full((3, *SHAPE), 0.05)
    x[0, 0, 0, 0] = x[2, 0, 0, 0] = 0.9  # class 1; the one in the middle is of class 0
    x[1] = 0.6
    small = {"boundary": {"steps": 20}, "hop-skip-jump-l2": {"steps": 1}}.get(name, {})
    outcome = run(SPECS[name], x, Fortress(), **small)
    assert outcome.failures == ()
    assert outcome.distances[Norm.L2].isfinite().tolist() == [True, False, True]


class Flat(torch.nn.Module):
    """Never changes its mind and has no gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.flatten(1).sum(1) * 0 + 1, x.flatten(1).sum(1) * 0], 1)


@pytest.mark.parametrize(
    "name", ["fgm", "newtonfool", "virtual-adversarial", "fmn-l2", "inversion"]
)
def test_without_a_gradient_nothing_is_found_and_nothing_fails(name: str) -> None:
    outcome = run(SPECS[name], samples(2), Flat())
    assert outcome.failures == ()
    assert outcome.distances[Norm.L2].tolist() == [math.inf, math.inf]


def test_an_error_of_the_attack_itself_is_reported() -> None:
    class Broken:
        def run(self, model: Any, x: Any, criterion: Any) -> Any:
            if float(x.sum()) < 5:
                raise ValueError("no such luck")
            return 1 - x

    x = samples(2)
    x[0] = 0.1
    target = Target.of(Linear())
    y = target.module(x).argmax(1)
    attack = stock.StockAttack(Broken, StockConfig())
    outcome = attack_samples(target, attack, Norm.L2, x, y)
    assert [(f.sample, f.message) for f in outcome.failures] == [(0, "ValueError: no such luck")]


def test_a_missing_dependency_is_named() -> None:
    def needs_it() -> None:
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    with pytest.raises(AttackError, match="pip install numba"):
        stock.StockAttack(needs_it, StockConfig())


def test_there_is_no_attack_of_that_name() -> None:
    with pytest.raises(AttributeError, match="NoSuchAttack"):
        stock.NoSuchAttack  # noqa: B018


def test_a_single_oracle_records_into_the_whole() -> None:
    x = samples(3)
    model = Linear()
    oracle = Oracle(model, x, model(x).argmax(1), Norm.L2, seeds=[5, 6, 7])
    alone = oracle.single(1)
    far = (x[1:2] + 0.9 * (1 - 2 * (oracle.y[1] == 1)) * model.w.view(1, *SHAPE)).clamp(0, 1)
    alone.scores(far.detach())
    alone.gradient(far.detach())
    assert oracle.forward.tolist() == [0, 2, 0]
    assert oracle.backward.tolist() == [0, 1, 0]
    assert oracle.best_distance.isfinite().tolist() == [False, True, False]
    assert torch.equal(oracle.best[1], far[0].detach())
    assert torch.equal(oracle.best[0], x[0])
    assert alone.seed(0) == 6
    # One generator, not two of the same seed.
    first, second = alone.uniform([0], 2), oracle.uniform([1], 2)
    fresh = Oracle(model, x, oracle.y, Norm.L2, seeds=[5, 6, 7]).uniform([1], 4)
    assert torch.equal(torch.cat([first, second], 1), fresh)
