import pytest
import torch

from robustlvq.api import (
    Attack,
    Cancelled,
    ModelError,
    Norm,
    Target,
    attack_samples,
    sample_seed,
)
from tests import tiny
from tests.tiny import Half, HalfConfig

X = torch.tensor([[0.1, 0.5, 0, 0], [0.8, 0.95, 0, 0], [0.3, 0, 0.2, 0], [0.4, 0, 0, 0]])
Y = torch.tensor([0, 1, 0, 1])  # the last one is misclassified
INF = float("inf")


def run(attack, model=None, norm=Norm.L2, **options):
    return attack_samples(Target.of(model or Half(HalfConfig())), attack, norm, X, Y, **options)


def step():
    return tiny.Step(tiny.StepConfig())


def test_distances_are_the_closed_form_in_every_norm():
    assert isinstance(step(), Attack)
    outcome = run(step())
    expected = [0.401, 0.301, 0.201, 0.0]
    for norm in (Norm.L1, Norm.L2, Norm.LINF):
        assert outcome.distances[norm].tolist() == pytest.approx(expected, abs=1e-6)
    assert outcome.distances[Norm.L0].tolist() == [1, 1, 1, 0]
    assert outcome.clean.tolist() == [0, 1, 0, 0]
    assert outcome.predicted.tolist() == [1, 0, 1, 0]
    assert outcome.failures == ()


def test_clean_mistakes_are_not_attacked():
    outcome = run(step())
    assert outcome.forward.tolist() == [2, 2, 2, 1]
    assert torch.equal(outcome.adversarials[3], X[3])


def test_what_is_not_found_is_infinite():
    outcome = run(tiny.Nothing(None))
    assert outcome.distances[Norm.L2].tolist() == [INF, INF, INF, 0]
    assert torch.equal(outcome.adversarials, X)


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (tiny.ReturnsNaN, "not finite"),
        (tiny.ReturnsWrongShape, "expected None or a tensor"),
        (tiny.ReturnsClean, "the clean input as an adversarial"),
        (tiny.ReturnsOutside, "outside the bounds"),
    ],
)
def test_a_false_claim_is_a_failure_of_each_sample(attack, message):
    outcome = run(attack(None), ids=[10, 11, 12, 13])
    assert [failure.sample for failure in outcome.failures] == [10, 11, 12]
    assert all(message in failure.message for failure in outcome.failures)
    assert outcome.distances[Norm.L2].tolist() == [INF, INF, INF, 0]


def test_an_attack_that_raises_for_one_sample_spares_the_others():
    outcome = run(tiny.RaisesForOne(tiny.StepConfig()))
    (failure,) = outcome.failures
    assert (failure.sample, failure.message) == (1, "RuntimeError: one sample is too much")
    assert "Traceback" in failure.traceback
    assert outcome.distances[Norm.L2].tolist() == pytest.approx([0.401, INF, 0.201, 0], abs=1e-6)


def test_an_adversarial_that_float64_does_not_confirm_is_moved_or_dropped():
    class Boundary:
        def search(self, oracle):
            points = oracle.x.clone()
            points[:, 0] = 0.5 + 1e-8 * (1 - 2 * oracle.y)  # 0.5 itself in float32
            oracle.scores(points)

    outcome = run(Boundary())
    for delta, expected in zip(outcome.distances[Norm.L2], [0.4, 0.3, 0.2], strict=False):
        assert delta == INF or delta == pytest.approx(expected, rel=1e-3)
    found = outcome.distances[Norm.L2].isfinite()
    wrong = Half(HalfConfig()).double()(outcome.adversarials.double()).argmax(1) != Y
    assert torch.equal(found, wrong)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (tiny.NaNScores(HalfConfig()), "nan"),
        (tiny.FlatScores(HalfConfig()), "shape"),
        (torch.nn.Linear(3, 2), r"failed on inputs of shape \(N, 4\)"),
    ],
)
def test_a_model_that_fails_on_clean_inputs(model, message):
    with pytest.raises(ModelError, match=message):
        run(step(), model)


def test_a_stop_ends_the_attack():
    with pytest.raises(Cancelled):
        run(step(), stop=lambda: True)


def test_a_model_that_cannot_be_copied_is_verified_in_float32():
    class Stubborn(Half):
        def __deepcopy__(self, memo):
            raise TypeError("no copies")

    model = Stubborn(HalfConfig())
    assert Target.of(model).exact is None
    assert run(step(), model).distances[Norm.L0].tolist() == [1, 1, 1, 0]


def test_seeds_differ_by_run_attack_and_sample_and_never_change():
    seeds = {sample_seed(s, a, i) for s in range(3) for a in ("fgm", "bim") for i in range(5)}
    assert len(seeds) == 30
    assert sample_seed(0, "boundary", 0) == 7713021721752383902


def test_a_search_that_raises_starts_afresh_for_each_sample():
    class Stateful(tiny.Step):
        def __init__(self):
            super().__init__(tiny.StepConfig())
            self.calls = []

        def search(self, oracle):
            self.calls.append(len(oracle))
            if len(self.calls) > 1 or len(oracle) > 1:
                raise RuntimeError("used twice")
            super().search(oracle)

    outcome = run(Stateful())
    assert outcome.failures == ()
    assert outcome.distances[Norm.L2].tolist() == pytest.approx([0.401, 0.301, 0.201, 0], abs=1e-6)


def test_what_was_found_before_a_late_failure_is_kept():
    class Late(tiny.Step):
        def search(self, oracle):
            super().search(oracle)
            raise RuntimeError("too late")

    outcome = run(Late(tiny.StepConfig()))
    assert [failure.sample for failure in outcome.failures] == [0, 1, 2]
    assert outcome.distances[Norm.L2].tolist() == pytest.approx([0.401, 0.301, 0.201, 0], abs=1e-6)


def test_an_exception_that_takes_no_attributes_is_a_failure_like_any_other():
    class Slotted(Exception):
        __slots__ = ()

        def __setattr__(self, name, value):
            raise AttributeError(name)

    class Raises(tiny.Nothing):
        def search(self, oracle):
            raise Slotted("no")

    outcome = run(Raises(None))
    assert [failure.sample for failure in outcome.failures] == [0, 1, 2]


class OnlyFloat32(Half):
    def forward(self, x):
        if x.dtype != torch.float32:
            raise TypeError("float32 only")
        return super().forward(x)


def test_a_model_that_does_not_work_in_float64_is_verified_in_float32():
    model = OnlyFloat32(HalfConfig())
    assert Target.of(model, example=X).exact is None
    outcome = attack_samples(Target.of(model, example=X), step(), Norm.L2, X, Y)
    assert outcome.failures == ()
    # Without an example nothing is known before; then each sample says so.
    outcome = attack_samples(Target.of(model), step(), Norm.L2, X, Y)
    assert {failure.message for failure in outcome.failures} == {"TypeError: float32 only"}
    assert outcome.distances[Norm.L2].tolist() == [INF, INF, INF, 0]


def test_float64_that_fails_for_one_sample_spares_the_others():
    class Picky(Half):
        def forward(self, x):
            scores = super().forward(x)
            if x.dtype == torch.float64:
                scores[x[:, 1] > 0.9] = float("nan")
            return scores

    outcome = run(step(), Picky(HalfConfig()))
    assert [failure.sample for failure in outcome.failures] == [1]
    assert outcome.distances[Norm.L2].tolist() == pytest.approx([0.401, INF, 0.201, 0], abs=1e-6)


def test_the_runner_up_is_reported_where_the_closest_is_not_confirmed():
    class Flickers(Half):
        """In float32 the region between 0.50 and 0.52 counts as class 1, in float64 it does not."""

        def forward(self, x):
            shift = 0.02 if x.dtype == torch.float64 else 0.0
            margin = x.flatten(1)[:, 0] - 0.5 - shift
            return torch.stack([-margin, margin], 1)

    class Twice(tiny.Nothing):
        def search(self, oracle):
            for value in (0.6, 0.51):
                points = oracle.x.clone()
                points[:, 0] = value
                oracle.scores(points)

    outcome = attack_samples(Target.of(Flickers(HalfConfig())), Twice(None), Norm.L2, X[:1], Y[:1])
    assert outcome.failures == ()
    assert outcome.distances[Norm.L2].tolist() == pytest.approx([0.5], abs=1e-6)
