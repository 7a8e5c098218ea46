"""Exact distances beside stock Foolbox's BoundaryAttack, on the same samples, on one core.

    python -m tests.benchmarks.exact_speed [--samples 8] [--steps 25000]

Needs the published models and MNIST (``ROBUSTLVQ_SHARED``). Prints CPU seconds of this process a
sample, as the machine may be busy with other things. A certifier prepares tables of a model once:
they are there already when the samples of the attack are certified, and the larger run before,
over all images that are read, includes them. ``excess`` is how much too long the distances of the
attack are, and ``larger`` on how many samples the certified point is farther away than the
attack's: never.
"""

from __future__ import annotations

import argparse
import time

import foolbox
import torch

from robustlvq.api import Certified, Certifier, Norm, Target, certify_samples, distance
from robustlvq_lvq import certifiers
from tests.published import mnist_test, published

CASES = (
    ("glvq", (Norm.L2, Norm.LINF, Norm.L1, Norm.L0)),
    ("glvq_large", (Norm.L2, Norm.LINF, Norm.L1, Norm.L0)),
    ("gtlvq", (Norm.L2, Norm.LINF)),
)


def stock(
    module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int
) -> tuple[torch.Tensor, float]:
    """L2 distances (N,) of stock BoundaryAttack, and CPU seconds."""
    model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
    torch.manual_seed(0)
    began = time.process_time()
    found, _, success = foolbox.attacks.BoundaryAttack(steps=steps)(model, x, y, epsilons=None)
    seconds = time.process_time() - began
    far = distance(x.double(), found.double(), Norm.L2)
    return far.masked_fill(~success, float("inf")), seconds


def certified(
    target: Target, certifier: Certifier, norm: Norm, x: torch.Tensor, y: torch.Tensor
) -> tuple[Certified, float]:
    """What is certified, and CPU seconds."""
    began = time.process_time()
    result = certify_samples(target, [(certifier, norm)], x, y)
    return result, time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--steps", type=int, default=25_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = mnist_test(20 * options.samples + 20)
    print(f"CPU seconds, one thread; {options.samples} samples, {options.steps} steps")
    for name, norms in CASES:
        target = Target.of(published(name), torch.device("cpu"), images[:2])
        with torch.no_grad():
            right = (target.module(images).argmax(1) == labels).nonzero().squeeze(1)
        rows = right[1 : options.samples + 1]
        x, y = images[rows], labels[rows]
        attack, seconds = stock(target.module, x, y, options.steps)
        each = seconds / len(x)
        print(f"{name}: stock BoundaryAttack {each:.3f} s a sample", flush=True)
        for norm in norms:
            certifier: Certifier = getattr(certifiers, norm.value)()
            _, once = certified(target, certifier, norm, images[right], labels[right])
            result, spent = certified(target, certifier, norm, x, y)
            exact = sum(status.value == "exact" for status in result.status)
            ahead, ahead_once = each * len(x) / spent, each * len(right) / once
            line = (
                f"  {norm.symbol}: {1e3 * spent / len(x):.2f} ms a sample, {ahead:,.0f} times "
                f"faster; {1e3 * once / len(right):.2f} ms with preparation over {len(right)} "
                f"samples, {ahead_once:,.0f} times; {exact} of {len(x)} exact"
            )
            if norm is Norm.L2:
                larger = int((result.upper > attack).sum())
                excess = float((attack / result.upper - 1).median())
                line += f"; excess {excess:.1%}, larger {larger}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
