from __future__ import annotations

import numpy as np

from robustlvq.api import Dataset
from robustlvq.reproduce.semantics import Adversarials, resemblance


def dataset(x: object, y: list[int]) -> Dataset:
    return Dataset("points", np.asarray(x, dtype=np.float32), np.array(y, dtype=np.int64))


def moved(samples: list[int], pixels: object, classes: list[int]) -> Adversarials:
    return Adversarials(np.array(samples), np.asarray(pixels, dtype=np.float32), np.array(classes))


ATTACKED = dataset([[0.2, 0.2], [0.2, 0.2], [0.2, 0.2]], [0, 0, 0])
GENUINE = dataset([[0.2, 0.1], [0.8, 0.2], [0.2, 1.0]], [0, 1, 2])


def test_towards_a_genuine_image_across_and_away() -> None:
    # Class 1 lies to the right of the sample.
    images = moved([0, 1, 2], [[0.4, 0.2], [0.2, 0.4], [0.0, 0.2]], [1, 1, 1])
    found = resemblance(images, ATTACKED, GENUINE, own=False)
    np.testing.assert_allclose(found.cosine, [1, 0, -1], atol=1e-6)


def test_the_way_is_that_to_the_class_that_the_model_takes_it_for() -> None:
    images = moved([0, 1], [[0.4, 0.4], [0.4, 0.4]], [1, 2])
    found = resemblance(images, ATTACKED, GENUINE, own=False)
    np.testing.assert_allclose(found.cosine, np.sqrt([0.5, 0.5]), atol=1e-6)


def test_the_judge_sees_the_new_class_or_does_not() -> None:
    images = moved([0, 1], [[0.7, 0.2], [0.3, 0.2]], [1, 1])
    found = resemblance(images, ATTACKED, GENUINE, own=False)
    assert found.judged.tolist() == [1, 0]


def test_samples_that_the_judge_gets_wrong_are_left_out() -> None:
    attacked = dataset([[0.2, 0.2], [0.8, 0.1]], [0, 0])
    images = moved([0, 1], [[0.7, 0.2], [0.7, 0.2]], [1, 1])
    found = resemblance(images, attacked, GENUINE, own=False)
    assert len(found.cosine) == 2
    assert found.judged.tolist() == [1]


def test_no_sample_is_its_own_reference() -> None:
    own = dataset([[0.5, 0.5], [0.6, 0.5], [0.5, 0.9]], [0, 0, 1])
    images = moved([0], [[0.5, 0.55]], [1])
    # Without itself, the nearest of sample 0 is sample 1.
    found = resemblance(images, own, own, own=True)
    assert found.judged.tolist() == [0]
    lonely = dataset([[0.5, 0.5], [0.9, 0.5], [0.5, 0.6]], [0, 0, 1])
    assert resemblance(images, lonely, lonely, own=True).judged.tolist() == []


def test_nothing_to_compare() -> None:
    found = resemblance(moved([], np.empty((0, 2)), []), ATTACKED, GENUINE, own=False)
    assert (len(found.cosine), len(found.judged)) == (0, 0)


def test_many_samples_are_compared_in_blocks() -> None:
    generator = np.random.default_rng(0)
    attacked = dataset(generator.uniform(size=(130, 5)), [0] * 130)
    genuine = dataset(generator.uniform(size=(40, 5)), [0, 1] * 20)
    pixels = generator.uniform(size=(130, 5))
    images = moved(list(range(130)), pixels, [1] * 130)
    found = resemblance(images, attacked, genuine, own=False)
    judged = []
    for x, adversarial, cosine in zip(
        attacked.x.astype(float), images.pixels.astype(float), found.cosine, strict=True
    ):
        ways = genuine.x[1::2] - x
        way = ways[np.linalg.norm(ways, axis=1).argmin()]
        step = adversarial - x
        assert abs(cosine - way @ step / np.linalg.norm(way) / np.linalg.norm(step)) < 1e-9
        if np.linalg.norm(genuine.x - x, axis=1).argmin() % 2 == 0:
            judged.append(float(np.linalg.norm(genuine.x - adversarial, axis=1).argmin() % 2))
    assert found.judged.tolist() == judged
