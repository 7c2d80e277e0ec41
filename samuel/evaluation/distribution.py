"""How far the sound of one set of tracks is from another's: Fréchet distance between embeddings."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array


def frechet_distance(first: Float[Array, "n d"], second: Float[Array, "m d"]) -> float:
    """Between Gaussians fitted to two sets of vectors (Dowson & Landau 1982; Kilgour et al. 2019 for audio).

    ``|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½)``. It falls with n and m even where nothing else changes: compare only
    distances of equal sample sizes. NaN where a set has fewer than two vectors.
    """
    if min(len(first), len(second)) < 2:
        return float("nan")
    first, second = first.astype(np.float64), second.astype(np.float64)
    shift = first.mean(axis=0) - second.mean(axis=0)
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    # The product of two covariances has real eigenvalues from 0 up; rounding alone makes others.
    roots = np.sqrt(np.linalg.eigvals(one @ other).real.clip(0))
    return float(max(0.0, shift @ shift + np.trace(one) + np.trace(other) - 2 * roots.sum()))
