"""Benchmark a model of your own: any module from inputs in [0, 1] to class scores."""

import torch

import robustlvq


class Blurred(torch.nn.Module):
    """The shipped GLVQ model behind a fixed blur: your preprocessing is part of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = robustlvq.load_model("glvq")
        self.register_buffer("kernel", torch.full((1, 1, 3, 3), 1 / 9))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.nn.functional.conv2d(x, self.kernel, padding=1))


def main() -> None:
    result = robustlvq.bench(
        models={"glvq": robustlvq.load_model("glvq"), "blurred": Blurred()},
        attacks=["bim", "pointwise-l0"],
        samples=20,
    )
    print(result.table(intervals=True))


if __name__ == "__main__":
    main()
