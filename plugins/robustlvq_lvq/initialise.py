"""Where prototypes and tangents start: class-wise k-means and singular vectors."""

from __future__ import annotations

import torch

from robustlvq.api import DataError

__all__ = ["class_centres", "principal_directions"]


def class_centres(
    x: torch.Tensor, y: torch.Tensor, classes: int, per_class: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The centres of a k-means of each class.

    Args:
        x: (N, n).
        y: Labels (N,), int64, in [0, classes).
        classes: How many classes there are.
        per_class: How many centres each class gets.
        seed: Of k-means.

    Returns:
        Centres (classes * per_class, n), class by class, in the dtype and on the device of
        ``x``, and for each sample the index of its centre (N,).

    Raises:
        DataError: A class has fewer samples than centres, or there is another class.
    """
    # Imported here: it takes a second, and only training needs it.
    from sklearn.cluster import KMeans

    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise DataError(
            f"labels lie in [{int(y.min())}, {int(y.max())}]; the model has {classes} classes, "
            "counted from 0"
        )
    centres = x.new_zeros((classes * per_class, x.shape[1]))
    member = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    for label in range(classes):
        rows = (y == label).nonzero().squeeze(1)
        if len(rows) < per_class:
            raise DataError(
                f"class {label} has {len(rows)} samples for {per_class} prototypes; "
                "lower prototypes_per_class"
            )
        start = label * per_class
        if per_class == 1:
            centres[start] = x[rows].double().mean(0).to(x.dtype)
            member[rows] = start
            continue
        means = KMeans(per_class, n_init=1, random_state=seed).fit(x[rows].cpu().numpy())
        centres[start : start + per_class] = torch.as_tensor(means.cluster_centers_).to(x)
        member[rows] = start + torch.as_tensor(means.labels_).to(member)
    return centres, member


def principal_directions(points: torch.Tensor, rank: int) -> torch.Tensor:
    """The first right singular vectors of ``points``.

    Args:
        points: (M, n), already centred on the prototype.
        rank: How many directions; when there are fewer points than that, the basis is
            completed by arbitrary orthonormal directions.

    Returns:
        Orthonormal columns (n, rank), those of the largest singular values first.
    """
    missing = rank - len(points)
    if missing > 0:
        points = torch.cat([points, points.new_zeros(missing, points.shape[1])])
    if len(points) > points.shape[1]:
        # The eigenvectors of the (n, n) Gram matrix are the right singular vectors.
        wide = points.double()
        vectors: torch.Tensor = torch.linalg.eigh(wide.T @ wide).eigenvectors.flip(1)
    else:
        vectors = torch.linalg.svd(points.double(), full_matrices=False).Vh.T
    return vectors[:, :rank].to(points.dtype)
