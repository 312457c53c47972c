# SPDX-License-Identifier: BSD-2-Clause
"""Compiled inner loops of the packed interpreter: XNOR and popcount on 64-bit words.

All count *disagreeing* bits, since pad bits are 0 on both sides and so never disagree. Weights are
stored word by word, (words, outputs), so that one vector register holds a word of several neurons;
four rows at a time share each weight that is read. Each function releases the GIL.
"""

# pyright: reportCallIssue=false
# (an intrinsic is called without its typing context)

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_ROWS = 4


@intrinsic
def _popcount(typing_context, word):
    """Ones in one uint64: LLVM's ctpop, which vectorises."""

    def generate(context, builder, signature, arguments):
        ctpop = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(ctpop, arguments)

    return types.uint64(types.uint64), generate


@njit(cache=True, nogil=True, boundscheck=False)
def slice_planes(pixels, packed):
    """Bit-planes of pixels: uint16 (images, n) into packed uint64 (images, bits, words)."""
    images, n = pixels.shape
    bits = packed.shape[1]
    for image in range(images):
        for plane in range(bits):
            for word in range(packed.shape[2]):
                value = np.uint64(0)
                for bit in range(min(64, n - 64 * word)):
                    pixel = np.uint64(pixels[image, 64 * word + bit])
                    value |= ((pixel >> np.uint64(plane)) & np.uint64(1)) << np.uint64(bit)
                packed[image, plane, word] = value


@njit(cache=True, nogil=True, boundscheck=False)
def disagreements(rows, plane_weights, sign, total):
    """Plane-weighted counts of disagreeing bits.

    Parameters
    ----------
    rows : uint64 (n, planes, words), the inputs
    plane_weights : int64 (planes,)
    sign : uint64 (words, outputs), the weights
    total : int64 (n, outputs), overwritten
    """
    planes, words = rows.shape[1], rows.shape[2]
    flat = rows.reshape(-1, words)
    count = np.empty((_ROWS, sign.shape[1]), dtype=np.uint64)
    total[:] = 0
    for first in range(0, len(flat), _ROWS):
        last = len(flat) - 1
        r1, r2, r3 = min(first + 1, last), min(first + 2, last), min(first + 3, last)
        count[:] = 0
        for word in range(words):
            x0, x1, x2, x3 = flat[first, word], flat[r1, word], flat[r2, word], flat[r3, word]
            for output in range(sign.shape[1]):
                weight = sign[word, output]
                count[0, output] += _popcount(x0 ^ weight)
                count[1, output] += _popcount(x1 ^ weight)
                count[2, output] += _popcount(x2 ^ weight)
                count[3, output] += _popcount(x3 ^ weight)
        for row in range(first, min(first + _ROWS, len(flat))):
            weight = plane_weights[row % planes]
            for output in range(sign.shape[1]):
                total[row // planes, output] += weight * np.int64(count[row - first, output])


@njit(cache=True, nogil=True, boundscheck=False)
def disagreements_masked(rows, plane_weights, sign, active, present, classes, total):
    """As :func:`disagreements`, over the synapses that are not zero and the taps that are present.

    Parameters
    ----------
    active : uint64 (words, outputs), non-zero weights
    present : uint64 (border classes, words), taps inside the image
    classes : int64 (positions,), border class of row ``r`` at ``r % positions``
    """
    planes, words = rows.shape[1], rows.shape[2]
    for row in range(len(rows)):
        border = classes[row % len(classes)]
        for output in range(sign.shape[1]):
            total[row, output] = 0
        for plane in range(planes):
            for word in range(words):
                x, mask = rows[row, plane, word], present[border, word]
                for output in range(sign.shape[1]):
                    differing = (x ^ sign[word, output]) & active[word, output] & mask
                    total[row, output] += plane_weights[plane] * np.int64(_popcount(differing))


@njit(cache=True, nogil=True, boundscheck=False)
def fire(total, limits, classes, packed):
    """Neurons whose disagreements stay within their limit: packed bits uint64 (n, words).

    Parameters
    ----------
    total : int64 (n, outputs)
    limits : int64 (border classes, outputs)
    classes : int64 (positions,), as in :func:`disagreements_masked`
    """
    outputs = total.shape[1]
    for row in range(len(total)):
        limit = limits[classes[row % len(classes)]]
        for word in range(packed.shape[1]):
            value = np.uint64(0)
            for bit in range(min(64, outputs - 64 * word)):
                output = 64 * word + bit
                value |= np.uint64(total[row, output] <= limit[output]) << np.uint64(bit)
            packed[row, word] = value
