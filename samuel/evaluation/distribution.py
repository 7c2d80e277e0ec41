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
    shift = first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)
    one, other = _root(first), _root(second)
    # With C1 = R1ᵀ R1 and C2 = R2ᵀ R2, the roots of the eigenvalues of C1 C2 are the singular values of R1 R2ᵀ.
    roots = np.linalg.svd(one @ other.T, compute_uv=False)
    return float(max(0.0, shift @ shift + (one**2).sum() + (other**2).sum() - 2 * roots.sum()))


def _root(vectors: Float[Array, "n d"]) -> Float[Array, "r d"]:
    """R with Rᵀ R the covariance."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    return np.linalg.qr(centred, mode="r") / np.sqrt(len(vectors) - 1)
