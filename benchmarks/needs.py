"""How many bytes a training step needs: the batch, parameters, gradients, Adam's averages, and what backward reads of what forward made.

Backward reads what the steps by hand beside it read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks import convolution
from benchmarks.transformer import VOCABULARY, Size, shapes

FLOAT, INTEGER = 4, 8


@dataclass(frozen=True)
class Needs:
    """Bytes of the parts of a step; the gradients of parameters take as many as these."""

    batch: int
    parameters: int
    averages: int
    kept: int                               # what forward computes and backward reads
    slopes: int                             # the gradient of the largest value in between, which backward works on

    @property
    def growing(self) -> int:
        """What is more where the batch is larger."""
        return self.batch + self.kept

    @property
    def all(self) -> int:
        """Where everything is there at once."""
        return self.batch + 2 * self.parameters + self.averages + self.kept + self.slopes


def numbers(shapes: Iterable[tuple[int, ...]]) -> int:
    """Numbers in arrays of these shapes."""
    return sum(map(math.prod, shapes))


def mlp_needs(sizes: tuple[int, ...], batch: int) -> Needs:
    """Adam; backward reads what left each ReLU, and the probabilities."""
    parameters = FLOAT * numbers(zip(sizes, sizes[1:])) + FLOAT * sum(sizes[1:])
    kept, largest = FLOAT * batch * sum(sizes[1:]), FLOAT * batch * max(sizes[1:])
    return Needs(batch * (FLOAT * sizes[0] + INTEGER), parameters, 2 * parameters, kept, largest)


def cnn_needs(size: int) -> Needs:
    """SGD; backward reads the framed images that go into a convolution, what left each ReLU, half a pool, a pool, and the probabilities."""
    images, classes, parameters = convolution.problem(size)
    first, second = 16 * size ** 2, 32 * (size // 2) ** 2
    frames = (size + 2) ** 2 + 16 * (size // 2 + 2) ** 2
    kept = len(images) * (frames + first * 7 // 4 + second * 7 // 4 + 10)       # a pool leaves a half, then a quarter
    return Needs(images.nbytes + classes.nbytes, sum(p.nbytes for p in parameters), 0, FLOAT * kept,
                 FLOAT * len(images) * first)


def gpt_needs(size: Size) -> Needs:
    """Adam; backward reads of each block 16 numbers for each of a token's, and what each head looked at: of each token, those before it."""
    parameters = FLOAT * numbers(shapes(size).values())
    looks = size.batch * size.heads * size.length * (size.length + 1) // 2
    kept = size.layers * (16 * size.rows * size.width + looks) + size.rows * (2 * size.width + VOCABULARY)
    return Needs(2 * INTEGER * size.rows, parameters, 2 * parameters, FLOAT * kept, FLOAT * 4 * size.rows * size.width)
