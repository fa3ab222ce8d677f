"""What a whole frame changed by against another: a line in the relit colours, fitted to all pixels and blind to a few.

Flicker of a whole frame (exposure, white balance, contrast) is known from every pixel, far better than from the few
around a place; and light that truly moves over a part of the picture is an outlier of that fit, no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from platelight_server.deflicker.robust import weighted_median

Array = np.ndarray

# Lines of the picture that the fit looks at: it has a dozen unknowns.
_LINES = 64
# Variance of the guide, in square stops, below which its colours are taken for one.
_SOFTNESS = 0.25**2
# Standard deviations from the mean colour up to which a line is followed.
_FURTHEST = 3.0
# Distances from the fit, in usual ones, that count half; the least usual one, in stops; and the rounds.
_OUTLIER, _STILL_STOPS, _ROUNDS = 3.0, 0.01, 4


@dataclass(frozen=True)
class Colours:
    """The colours of a frame as four numbers a pixel: 1 and three that are uncorrelated and of variance 1.

    middle (3,), turn (3, 3), shrink (3,): the mean of the guide, how it is turned, and what a fit's slopes are held by
    """

    middle: Array
    turn: Array
    shrink: Array

    @staticmethod
    def of(guide: Array, weight: Array) -> Colours:
        """guide (h, w, 3) float32 stops, weight (h, w)."""
        share = (weight / (weight.sum() + 1e-9))[..., None].astype(np.float64)
        middle = (share * guide).sum((0, 1))
        apart = (guide - middle).reshape(-1, 3)
        size, axes = np.linalg.eigh(np.einsum("p,pi,pj->ij", share.ravel(), apart, apart))
        size = np.maximum(size, 0) + 1e-6
        return Colours(middle, axes / np.sqrt(size), _SOFTNESS / size)

    def numbers(self, guide: Array) -> Array:
        """(h, w, 3) stops -> (h, w, 4) float32; colours far beyond all others, such as a highlight, count as the last
        ones that a fit knows."""
        turned = np.clip(np.einsum("hwc,ck->hwk", guide - self.middle, self.turn), -_FURTHEST, _FURTHEST)
        return np.concatenate([np.ones_like(turned[..., :1]), turned], 2).astype(np.float32)


def at(numbers: Array, line: Array) -> Array:
    """What a line (4, C) gives for colours (h, w, 4), as (h, w, C) float32."""
    return np.asarray(np.einsum("hwk,kc->hwc", numbers, line), np.float32)


def lines(differences: Array, weights: Array, numbers: Array, shrink: Array) -> Array:
    """The line in the colours that each difference follows, (n, 4, C) float32; a robust ridge regression (iteratively
    reweighted least squares, Cauchy's weights, from the weighted median).

    Lines count by how far what they explain, over all the differences, stands above what they leave: a shadow that
    jitters is no function of colours, and a line through it would be chance.

    differences (n, h, w, C) float32 stops, weights (n, h, w) >= 0, numbers (h, w, 4) and shrink see `Colours`
    """
    step = max(1, min(numbers.shape[:2]) // _LINES)
    x = numbers[::step, ::step].reshape(-1, 4)
    found, explained, left = [], 0.0, 0.0
    for difference, weight in zip(differences, weights, strict=True):
        y, w = difference[::step, ::step].reshape(len(x), -1), weight[::step, ::step].reshape(-1)
        line, counted = _line(y, w, x, shrink)
        fitted = np.einsum("pk,kc->pc", x, line)
        explained += float(np.einsum("p,pc->", counted, fitted**2))
        left += float(np.einsum("p,pc->", counted, (y - fitted) ** 2))
        found.append(line)
    share = max(0.0, 1 - left / (explained + 1e-9))
    return (share * np.stack(found)).astype(np.float32)


def _line(y: Array, weight: Array, x: Array, shrink: Array) -> tuple[Array, Array]:
    """The line (4, C) of y (p, C) in x (p, 4), and how far each of the p pixels counts in it."""
    line = np.zeros((4, y.shape[1]))
    line[0] = weighted_median(y, weight[:, None])
    ridge = np.diag([0.0, *shrink]) + 1e-6 * np.eye(4)
    counted = weight
    for _ in range(_ROUNDS):
        away = np.sqrt(((y - np.einsum("pk,kc->pc", x, line)) ** 2).mean(1))
        usual = float(weighted_median(away[:, None], weight[:, None])[0]) + _STILL_STOPS
        counted = weight / (1 + (away / (_OUTLIER * usual)) ** 2)
        weighted = x * counted[:, None]
        both, squares = np.einsum("pk,pc->kc", weighted, y), np.einsum("pk,pj->kj", weighted, x)
        line = np.linalg.solve(squares + ridge * counted.sum() + 1e-9 * np.eye(4), both)
    return line, counted


__all__ = ["Colours", "at", "lines"]
