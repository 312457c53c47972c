# SPDX-License-Identifier: BSD-2-Clause
"""The quadratic task: where the size of a latent weight provably is the weight's importance.

The loss is ``L(W) = 1/2 (W - W*)^T H (W - W*)`` for binary W, learned by

    Wh <- Wh - rate H (sign(Wh) - W*)

[CODE: Laborieux-Axel/SynapticMetaplasticityBNN]. Where W* lies outside the cube of signs, some
latent weights grow without end, ``|Wh_i| = rate t |g_i|`` with the gradient ``g = H (W - W*)``.
Flipping bit i of W costs ``-2 W_i g_i + 2 H_ii``, for these ``2 |g_i| + 2 H_ii``, so that [D]

    dL_i = 2 |Wh_i| / (rate t) + 2 H_ii
"""

from dataclasses import dataclass

import numpy as np

from ..generators import mix


@dataclass(frozen=True, eq=False)
class Quadratic:
    """A task in float64: ``hessian`` (n, n) symmetric, ``optimum`` (n,), ``initial`` (n,)."""

    hessian: np.ndarray
    optimum: np.ndarray
    initial: np.ndarray

    def __post_init__(self):
        n = len(self.optimum)
        if self.hessian.shape != (n, n) or self.initial.shape != (n,):
            raise ValueError(
                f"A task of {n} weights needs a hessian ({n}, {n}) and {n} initial weights, not "
                f"{self.hessian.shape} and {self.initial.shape}"
            )

    def loss(self, weights: np.ndarray) -> float:
        """L at binary weights."""
        away = weights - self.optimum
        return float(away @ self.hessian @ away) / 2

    def learn(self, rate: float, steps: int) -> np.ndarray:
        """The latent weights after each step, float64 (steps + 1, n), the initial ones first."""
        path = np.empty((steps + 1, len(self.optimum)))
        path[0] = self.initial
        for step in range(steps):
            gradient = self.hessian @ (signs(path[step]) - self.optimum)
            path[step + 1] = path[step] - rate * gradient
        return path

    def flip_costs(self, latent: np.ndarray) -> np.ndarray:
        """What the loss gains when one sign flips, exactly, for each weight (n,)."""
        weights = signs(latent)
        gradient = self.hessian @ (weights - self.optimum)
        return -2 * weights * gradient + 2 * np.diag(self.hessian)

    def predicted_costs(self, latent: np.ndarray, rate: float, steps: int) -> np.ndarray:
        """The same from the sizes of the latent weights; holds for those that diverge."""
        return 2 * np.abs(latent) / (rate * steps) + 2 * np.diag(self.hessian)


def signs(latent: np.ndarray) -> np.ndarray:
    """-1.0 and +1.0, with ``sign(0) = +1``."""
    return np.where(latent >= 0, 1.0, -1.0)


def two_weights() -> Quadratic:
    """The two-dimensional demonstration; learn it with a rate of 0.35 in 500 steps [CODE]."""
    hessian = np.array([[2.4047, 0.2158], [0.2158, 0.7733]])
    return Quadratic(hessian, np.array([1.5, 0.5]), np.array([0.01, 0.02]))


def random(weights: int, seed: int) -> Quadratic:
    """Eigenvalues ``20 + 19 (u - 1/2)`` in random directions, W* uniform within +-4, initial latent
    weights normal of 0.01; learn 500 weights with a rate of 0.01 in 1,000 steps [CODE]."""
    if weights < 1:
        raise ValueError(f"weights must be at least 1, not {weights!r}")
    rng = np.random.default_rng(mix(seed))
    # QR with a positive diagonal of R makes Q uniform among the rotations.
    q, r = np.linalg.qr(rng.normal(size=(weights, weights)))
    q *= np.sign(np.diag(r))
    eigenvalues = 20 + 19 * (rng.random(weights) - 0.5)
    optimum = rng.uniform(-4, 4, weights)
    return Quadratic((q * eigenvalues) @ q.T, optimum, 0.01 * rng.normal(size=weights))
