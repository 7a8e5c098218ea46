"""Agreement with Foolbox 1.8.0 on the paper's own models."""

from __future__ import annotations

import pytest
import torch

from robustlvq.api import Target, attack_samples, sample_seed
from tests.published import Golden, golden, mnist_test, published
from tests.robustlvq_foolbox.attacks import ATTACKS

SMALL = ("glvq", "gmlvq", "gtlvq")
LARGE = ("glvq_large", "gmlvq_large", "cnn")
DETERMINISTIC = ("fgsm", "fgm", "bim_linf", "bim_l2", "mim", "gaussian_blur")
RANDOM = ("salt_and_pepper", "pointwise_l0", "pointwise_l2")
QUICK_RANDOM = {("salt_and_pepper", "gtlvq"), ("pointwise_l0", "gmlvq"), ("pointwise_l2", "glvq")}
QUICK_LARGE = {("fgsm", "glvq_large"), ("fgm", "cnn"), ("gaussian_blur", "cnn")}


def cases(attacks, models, quick=None):
    """Every pair; those not in ``quick`` are slow."""
    return [
        pytest.param(
            attack,
            model,
            marks=[] if quick is None or (attack, model) in quick else [pytest.mark.slow],
        )
        for attack in attacks
        for model in models
    ]


def measure(
    attack: str, model: str, seed: int = 0, jitter: float = 0.0
) -> tuple[torch.Tensor, Golden]:
    """Distances of our attack, and the golden ones."""
    reference = golden(model, attack)
    x, y = (part[reference.index] for part in mnist_test(30))
    assert torch.equal(y, reference.label)
    if jitter:
        generator = torch.Generator().manual_seed(seed)
        x = (x * (1 + jitter * (torch.rand(x.shape, generator=generator) - 0.5))).clamp(0, 1)
    search = ATTACKS[attack]()
    seeds = [sample_seed(seed, attack, int(index)) for index in reference.index]
    outcome = attack_samples(Target.of(published(model)), search, search.norm, x, y, seeds=seeds)
    assert outcome.failures == ()
    return outcome.distances[search.norm], reference


def agree(ours: torch.Tensor, theirs: torch.Tensor, relative: float = 0.01) -> torch.Tensor:
    return (ours == theirs) | ((ours - theirs).abs() <= relative * theirs)


@pytest.mark.parametrize(
    ("attack", "model"),
    [*cases(DETERMINISTIC, SMALL), *cases(DETERMINISTIC, LARGE, QUICK_LARGE)],
)
def test_deterministic_attacks_find_the_same_distances(attack, model):
    ours, reference = measure(attack, model)
    assert agree(ours, reference.delta).double().mean() >= 0.95
    assert (ours.isinf() == reference.delta.isinf()).double().mean() >= 0.95


@pytest.mark.parametrize(
    "model", [*SMALL, *(pytest.param(model, marks=pytest.mark.slow) for model in LARGE)]
)
def test_deterministic_attacks_agree_to_a_thousandth(model):
    """The six rows of a model together; DeepFool, which rounding decides, has its own tests."""
    close = []
    for attack in DETERMINISTIC:
        ours, reference = measure(attack, model)
        close.append(agree(ours, reference.delta, 1e-3))
    assert torch.cat(close).double().mean() >= 0.98


def test_l2_bim_finds_nothing_exactly_where_foolbox_fails_on_a_vanished_gradient():
    ours, reference = measure("bim_l2", "glvq")
    assert torch.equal(ours.isinf(), reference.flag == 3)
    assert reference.flag.eq(3).sum() == 8


@pytest.mark.parametrize(
    ("attack", "model"),
    [
        *cases(("deepfool_l2", "deepfool_linf"), ("glvq", "gtlvq")),
        *cases(("deepfool_l2", "deepfool_linf"), ("glvq_large", "cnn"), set()),
    ],
)
def test_deepfool_finds_the_same_distances_up_to_the_last_bit(attack, model):
    """Rounding ends DeepFool (see its module), so the golden distance is one of several.

    Inputs that differ by at most two units in the last place give the others.
    """
    matched = None
    for seed in range(12):
        ours, reference = measure(attack, model, seed, jitter=4e-7 if seed else 0.0)
        found = agree(ours, reference.delta) | (reference.delta == 0)
        matched = found if matched is None else matched | found
        assert found.double().mean() >= 0.4
        assert ours.isinf().sum() == 0
    assert matched.double().mean() >= 0.9


@pytest.mark.parametrize(
    ("attack", "model", "median"),
    [
        ("deepfool_l2", "glvq", 1.4885),
        ("deepfool_l2", "glvq_large", 2.3222),
        ("deepfool_l2", "gtlvq", 2.2308),
        ("deepfool_l2", "cnn", 1.8741),
        ("deepfool_linf", "glvq", 0.1234),
        ("deepfool_linf", "glvq_large", 0.2194),
        ("deepfool_linf", "cnn", 0.1575),
    ],
)
def test_deepfool_has_the_same_median_over_many_samples(attack, model, median):
    """Measured with Foolbox 1.8.0 on TensorFlow 1.15.5: the first 200 MNIST test images."""
    x, y = mnist_test(200)
    search = ATTACKS[attack]()
    outcome = attack_samples(Target.of(published(model)), search, search.norm, x, y)
    assert float(outcome.distances[search.norm].quantile(0.5)) == pytest.approx(median, rel=0.05)


@pytest.mark.parametrize("attack", ["deepfool_l2", "deepfool_linf"])
def test_deepfool_stalls_on_gmlvq_and_agrees_where_it_does_not(attack):
    ours, reference = measure(attack, "gmlvq")
    assert 0.3 <= ours.isinf().double().mean() <= 0.9
    both = ours.isfinite() & reference.delta.isfinite()
    assert agree(ours, reference.delta)[both].double().mean() >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "models", "seeds"),
    [
        *((attack, (*SMALL, *LARGE), 3) for attack in RANDOM),
        ("boundary", (*SMALL, "glvq_large"), 2),
    ],
)
def test_random_attacks_paired_with_the_golden_distances(attack, models, seeds):
    """All models together: every single one has too few golden samples for a narrow bound."""
    ratios = []
    for model in models:
        runs = [measure(attack, model, seed) for seed in range(seeds)]
        reference = runs[0][1].delta
        typical = torch.stack([ours.log() for ours, _ in runs]).mean(0).exp()
        ratios.append((typical / reference)[reference > 0])
    assert 0.95 <= float(torch.cat(ratios).quantile(0.5)) <= 1.05


@pytest.mark.parametrize(("attack", "model"), cases(RANDOM, (*SMALL, *LARGE), QUICK_RANDOM))
def test_random_attacks_find_distances_of_the_same_size(attack, model):
    """One golden run is one draw: the typical ratio over the samples is compared."""
    runs = [measure(attack, model, seed) for seed in range(2)]
    reference = runs[0][1].delta
    attackable = reference > 0
    ours = torch.stack([run[0].log() for run in runs]).mean(0)[attackable]
    ratios = ours - reference[attackable].log()
    noise = float(ratios.std()) / len(ratios) ** 0.5
    assert abs(float(ratios.mean())) <= 0.1 + noise
    assert noise < 0.2
