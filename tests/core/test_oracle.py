import pytest
import torch

from robustlvq.api import AttackError, Cancelled, ModelError, Norm, Oracle, evaluate
from tests.tiny import Half, HalfConfig

MODEL = Half(HalfConfig())


def oracle(norm=Norm.L2, n=1, **options):
    x = torch.zeros(n, 4)
    return Oracle(MODEL, x, torch.zeros(n, dtype=torch.int64), norm, **options)


@pytest.mark.parametrize(
    ("norm", "closest"),
    # Three adversarials: fewest features, shortest in L2, smallest largest change.
    [(Norm.L0, 0), (Norm.L2, 1), (Norm.LINF, 2), (Norm.L1, 0)],
)
def test_the_closest_is_kept_in_the_norm_of_the_attack(norm, closest):
    points = torch.tensor([[0.9, 0, 0, 0], [0.75, 0.4, 0, 0], [0.6, 0.6, 0.6, 0.6]])
    one = oracle(norm)
    for point in points[[1, 0, 2]]:
        one.scores(point[None])
    assert torch.equal(one.best[0], points[closest])
    expected = {
        Norm.L0: 1.0,
        Norm.L1: 0.9,
        Norm.L2: (0.75**2 + 0.4**2) ** 0.5,
        Norm.LINF: 0.6,
    }[norm]
    assert float(one.best_distance) == pytest.approx(expected, rel=1e-6)


def test_several_points_of_one_sample_in_one_call_and_the_first_of_a_tie():
    one = oracle(Norm.LINF, n=2)
    points = torch.tensor(
        [[0.9, 0, 0, 0], [0.8, 0.1, 0, 0], [0.8, 0, 0.1, 0], [0.7, 0, 0, 0], [0.1, 0, 0, 0]]
    )
    one.scores(points, torch.tensor([0, 0, 0, 1, 1]))
    assert torch.equal(one.best, points[[1, 3]])
    assert one.forward.tolist() == [3, 2]


def test_points_out_of_bounds_are_answered_but_not_kept():
    one = oracle()
    assert bool(one.is_adversarial(torch.tensor([[1.01, 0, 0, 0]])))
    assert bool(one.best_distance.isinf())
    assert torch.equal(one.best, one.x)


def test_queries_are_counted_by_sample():
    one = oracle(n=3)
    rows = torch.tensor([2, 0])
    one.scores(one.x)
    one.gradient(one.x[rows], rows)
    one.jacobian(one.x[rows[:1]], rows[:1])
    leaf = one.x.clone().requires_grad_(True)
    one.differentiable_scores(leaf).sum().backward()
    assert one.forward.tolist() == [3, 2, 4]
    assert one.backward.tolist() == [2, 1, 1 + 2 + 1]


def test_gradients_that_vanish_are_counted():
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    torch.nn.init.zeros_(flat[1].weight)
    one = Oracle(flat, torch.rand(2, 4), torch.zeros(2, dtype=torch.int64), Norm.L2)
    assert not one.gradient(one.x).any()
    assert one.zero_gradients.tolist() == [1, 1]


def test_the_jacobian_is_the_derivative_of_every_score():
    torch.manual_seed(0)
    linear = torch.nn.Linear(4, 3)
    one = Oracle(linear, torch.rand(5, 4), torch.zeros(5, dtype=torch.int64), Norm.L2)
    scores, jacobian = one.jacobian(one.x)
    torch.testing.assert_close(scores, linear(one.x).detach())
    torch.testing.assert_close(jacobian, linear.weight.detach().expand(5, 3, 4))


def test_a_row_does_not_depend_on_what_it_is_evaluated_with():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(60, 200), torch.nn.ReLU(), torch.nn.Linear(200, 10))
    x = torch.rand(70, 60)
    whole = evaluate(net, x)
    for size in (1, 7, 64):
        parts = torch.cat([evaluate(net, part) for part in x.split(size)])
        assert torch.equal(parts, whole)
        gradients = []
        for part in x.split(size):
            one = Oracle(net, part, torch.zeros(len(part), dtype=torch.int64), Norm.L2)
            gradients.append(one.gradient(part))
        first = gradients[0] if size == 64 else torch.cat(gradients)[:64]
        if size == 1:
            expected = first
        assert torch.equal(first, expected)


def test_random_numbers_belong_to_the_sample():
    together, alone = oracle(n=3, seeds=[5, 6, 7]), oracle(seeds=[7])
    assert torch.equal(together.uniform([0, 2], 4)[1], alone.uniform([0], 4)[0])
    assert torch.equal(together.normal([2], 3), alone.normal([0], 3))
    assert not torch.equal(together.uniform([0], 4), together.uniform([1], 4))


def test_a_wrong_query_says_what_was_expected():
    with pytest.raises(AttackError, match=r"queried points of shape \(2, 4\) for 1 rows"):
        oracle().scores(torch.zeros(2, 4))
    with pytest.raises(AttackError, match="expected"):
        oracle().scores(torch.zeros(1, 3))


def test_a_stop_is_heard_at_the_next_query():
    with pytest.raises(Cancelled):
        oracle(stop=lambda: True).scores(torch.zeros(1, 4))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x[:, 0], r"shape \(32,\)"),
        (lambda x: x[:1], r"shape \(1, 4\)"),
        (lambda x: x[:, :1], r"shape \(32, 1\)"),
        (lambda x: x * float("nan"), "nan"),
        (lambda x: [1, 2], "returned a list"),
    ],
)
def test_a_model_that_does_not_return_scores(answer, message):
    class Odd(torch.nn.Module):
        def forward(self, x):
            return answer(x)

    with pytest.raises(ModelError, match=message):
        evaluate(Odd(), torch.zeros(2, 4))


def test_a_gradient_too_small_to_follow_counts_as_vanished() -> None:
    class Faint(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = x.flatten(1).mean(1) * self.scale
            return torch.stack([mean, -mean], 1)

    x, y = torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64)
    for scale, vanished in ((1e-3, 0), (1e-9, 1), (0.0, 1)):
        Faint.scale = scale
        one = Oracle(Faint(), x, y, Norm.L2)
        one.gradient(x)
        assert one.zero_gradients.tolist() == [vanished] * 3
        one.jacobian(x)
        assert one.zero_gradients.tolist() == [2 * vanished] * 3
        assert one.backward.tolist() == [3] * 3


def test_a_loss_that_is_flat_beyond_the_boundary_has_not_vanished() -> None:
    """What stock attacks climb: once a point is misclassified, the hinge is 0."""

    class Half(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            margin = x.flatten(1)[:, 0] - 0.5
            return torch.stack([-margin, margin], 1)

    one = Oracle(Half(), torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), Norm.L2)
    for value, vanished in ((0.2, 0), (0.9, 0), (0.2, 1)):
        leaf = torch.full((1, 1), value, requires_grad=True)
        scores = one.differentiable_scores(leaf)
        loss = (scores[:, 0] - scores[:, 1]).clamp_min(0).sum()
        (loss * 0 if vanished else loss).backward()
        assert one.zero_gradients.item() == vanished


def test_scores_that_are_nan_are_refused_by_every_query() -> None:
    class Broken(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)[:, :2] * float("nan")

    x, y = torch.rand(2, 1, 2, 2), torch.zeros(2, dtype=torch.int64)
    one = Oracle(Broken(), x, y, Norm.L2)
    for query in (one.scores, one.gradient, one.jacobian, one.differentiable_scores):
        with pytest.raises(ModelError, match="nan"):
            query(x)


def test_what_the_best_replaced_is_kept() -> None:
    class Half(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            margin = x.flatten(1)[:, 0] - 0.5
            return torch.stack([-margin, margin], 1)

    x, y = torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64)
    one = Oracle(Half(), x, y, Norm.L2)
    for value in (0.9, 0.7, 0.8, 0.6):
        one.scores(torch.full((1, 1), value))
    assert one.best_distance.item() == pytest.approx(0.6)
    assert one.second_distance.item() == pytest.approx(0.7)
