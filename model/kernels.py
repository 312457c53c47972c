# SPDX-License-Identifier: BSD-2-Clause
"""Compiled inner loops of the packed interpreter: XNOR and popcount on 64-bit words.

All count *disagreeing* bits, since pad bits are 0 on both sides and so never disagree. Neurons are
taken in tiles of 64, whose decisions are one packed word; weights are stored tile by tile and word
by word, (tiles, words, 64), so that one vector register holds a word of several neurons. Four rows
of inputs share each weight that is read. Every function releases the GIL.
"""

# pyright: reportCallIssue=false
# (an intrinsic is called without its typing context)

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

TILE = 64
_ROWS = 4
_LANES = 8  # 512-bit vectors; LLVM cuts them up where the processor has none
_HALF = 32  # neurons whose counts are kept in registers at once: 16 vectors for four rows
_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, _LANES)


@intrinsic
def _popcount(typing_context, word):
    """Ones in one uint64: LLVM's ctpop."""

    def generate(context, builder, signature, arguments):
        ctpop = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(ctpop, arguments)

    return types.uint64(types.uint64), generate


@intrinsic
def _count(typing_context, count, sign, start, words, rows, at0, at1, at2, at3):
    """Disagreements of four packed rows with a tile of weights: ``count`` (4, 64), overwritten.

    The tile is ``sign.flat[start:]`` and the rows are ``rows.flat[at0:]`` to ``rows.flat[at3:]``,
    ``words`` words each. Written out because LLVM by itself uses half the vector width, and keeps
    no counts in registers.
    """

    def generate(context, builder, signature, arguments):
        count, sign, rows = _data(context, builder, signature, arguments, (0, 1, 4))
        start, words, *places = (arguments[k] for k in (2, 3, 5, 6, 7, 8))
        for half in range(TILE // _HALF):
            sums = _zeros(builder)
            _add_ones(builder, sums, half, sign, start, words, rows, places)
            for row in range(_ROWS):
                targets = _vectors(builder, count, _WORD(row * TILE + half * _HALF))
                for part, target in enumerate(targets):
                    total = builder.load(sums[row * len(targets) + part])
                    builder.store(total, target, align=8)
        return context.get_dummy_value()

    places = (types.int64,) * _ROWS
    return types.void(count, sign, types.int64, types.int64, rows, *places), generate


@intrinsic
def _fire_tile(
    typing_context, fired, limits, limit, planes, sign, start, words, rows, at0, at1, at2, at3
):  # fmt: skip
    """Decisions of a tile of neurons for four rows: ``fired`` (4,) packed words, overwritten.

    As :func:`_count`, for rows of several planes, one after the other, of the weights ``planes``;
    the limits are ``limits.flat[limit:]``. Counts never leave the registers.
    """

    def generate(context, builder, signature, arguments):
        fired, limits, weights, sign, rows = _data(
            context, builder, signature, arguments, (0, 1, 3, 4, 7)
        )
        limit, start, words, *places = (arguments[k] for k in (2, 5, 6, 8, 9, 10, 11))
        planes = context.make_array(signature.args[3])(context, builder, arguments[3])
        count = cgutils.unpack_tuple(builder, planes.shape)[0]
        decided = [cgutils.alloca_once_value(builder, _WORD(0)) for _ in range(_ROWS)]
        for row in decided:
            builder.store(_WORD(0), row)
        for half in range(TILE // _HALF):
            totals = _zeros(builder)
            with cgutils.for_range(builder, count) as loop:
                sums = _zeros(builder)
                offset = builder.mul(loop.index, words)
                shown = [builder.add(place, offset) for place in places]
                _add_ones(builder, sums, half, sign, start, words, rows, shown)
                weight = builder.load(builder.gep(weights, [loop.index]))
                weight = _broadcast(builder, weight)
                for part, total in zip(sums, totals, strict=True):
                    product = builder.mul(builder.load(part), weight)
                    builder.store(builder.add(builder.load(total), product), total)
            most = _vectors(builder, limits, builder.add(limit, _WORD(half * _HALF)))
            most = [builder.load(place, align=8) for place in most]
            for row in range(_ROWS):
                for part, bound in enumerate(most):
                    total = builder.load(totals[row * len(most) + part])
                    bits = builder.icmp_signed("<=", total, bound)
                    bits = builder.zext(builder.bitcast(bits, ir.IntType(_LANES)), _WORD)
                    bits = builder.shl(bits, _WORD(half * _HALF + part * _LANES))
                    builder.store(builder.or_(builder.load(decided[row]), bits), decided[row])
        for row, word in enumerate(decided):
            builder.store(builder.load(word), builder.gep(fired, [_WORD(row)]))
        return context.get_dummy_value()

    place = types.int64
    arguments = fired, limits, place, planes, sign, place, place, rows, place, place, place, place
    return types.void(*arguments), generate


def _data(context, builder, signature, arguments, which: tuple[int, ...]) -> list:
    """Pointers to the content of those arguments that are arrays."""
    arrays = ((signature.args[k], arguments[k]) for k in which)
    return [context.make_array(kind)(context, builder, array).data for kind, array in arrays]


def _zeros(builder) -> list:
    """Places for the counts of half a tile for each row, set to 0."""
    zero = ir.Constant(_VECTOR, [0] * _LANES)
    places = [cgutils.alloca_once(builder, _VECTOR) for _ in range(_ROWS * _HALF // _LANES)]
    for place in places:
        builder.store(zero, place)
    return places


def _add_ones(builder, sums, half, sign, start, words, rows, places) -> None:
    """Adds the disagreements of half a tile with each row to its counts."""
    with cgutils.for_range(builder, words) as loop:
        first = builder.add(start, builder.mul(loop.index, _WORD(TILE)))
        weights = _vectors(builder, sign, builder.add(first, _WORD(half * _HALF)))
        weights = [builder.load(place, align=8) for place in weights]
        for row, place in enumerate(places):
            x = builder.load(builder.gep(rows, [builder.add(place, loop.index)]))
            x = _broadcast(builder, x)
            for part, weight in enumerate(weights):
                total = sums[row * len(weights) + part]
                ones = _ones(builder, builder.xor(weight, x))
                builder.store(builder.add(builder.load(total), ones), total)


def _vectors(builder, base, start) -> list:
    """Pointers to the vectors of half a tile, from ``base[start]`` on."""
    first = builder.bitcast(builder.gep(base, [start]), _VECTOR.as_pointer())
    return [builder.gep(first, [_WORD(part)]) for part in range(_HALF // _LANES)]


def _ones(builder, value):
    name, kind = f"llvm.ctpop.v{_LANES}i64", ir.FunctionType(_VECTOR, [_VECTOR])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [value])


def _broadcast(builder, value):
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
    return builder.shuffle_vector(first, undefined, zeros)


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
def _block(rows, plane_weights, sign, first, tile, count, total):
    """Weighted disagreements of rows ``first`` to ``first + 3`` with a tile: ``total`` (4, 64)."""
    planes, words = rows.shape[1:]
    last = len(rows) - 1
    second, third, fourth = min(first + 1, last), min(first + 2, last), min(first + 3, last)
    total[:] = 0
    for plane in range(planes):
        _count(
            count, sign, tile * words * TILE, words, rows,
            (first * planes + plane) * words, (second * planes + plane) * words,
            (third * planes + plane) * words, (fourth * planes + plane) * words,
        )  # fmt: skip
        weight = plane_weights[plane]
        for row in range(_ROWS):
            for output in range(TILE):
                total[row, output] += weight * np.int64(count[row, output])


@njit(cache=True, nogil=True, boundscheck=False)
def _masked_block(rows, plane_weights, sign, active, present, classes, first, tile, total):
    """As :func:`_block`, over the synapses that are not zero and the taps that are present."""
    total[:] = 0
    for row in range(first, min(first + _ROWS, len(rows))):
        mask = present[classes[row % len(classes)]]
        for plane in range(rows.shape[1]):
            weight = plane_weights[plane]
            for word in range(rows.shape[2]):
                x, taps = rows[row, plane, word], mask[word]
                for output in range(TILE):
                    differing = (x ^ sign[tile, word, output]) & active[tile, word, output] & taps
                    total[row - first, output] += weight * np.int64(_popcount(differing))


@njit(cache=True, nogil=True, boundscheck=False)
def _fire_unmasked(rows, plane_weights, sign, limits, packed):
    """:func:`fire` where every tap counts, so that there is one border class."""
    fired = np.empty(_ROWS, dtype=np.uint64)
    planes, words = rows.shape[1:]
    last, size = len(rows) - 1, planes * words
    for first in range(0, len(rows), _ROWS):
        second, third, fourth = min(first + 1, last), min(first + 2, last), min(first + 3, last)
        for tile in range(len(sign)):
            _fire_tile(
                fired, limits, tile * TILE, plane_weights, sign, tile * words * TILE, words, rows,
                first * size, second * size, third * size, fourth * size,
            )  # fmt: skip
            for row in range(first, min(first + _ROWS, len(rows))):
                packed[row, tile] = fired[row - first]


@njit(cache=True, nogil=True, boundscheck=False)
def fire(rows, plane_weights, sign, masked, active, present, classes, limits, packed):
    """Neurons whose disagreements stay within their limit, as packed bits.

    Parameters
    ----------
    rows : uint64 (n, planes, words), the inputs
    plane_weights : int64 (planes,)
    sign : uint64 (tiles, words, 64), the weights
    masked : whether ``active`` and ``present`` matter
    active : uint64 as ``sign``, the weights that are not zero
    present : uint64 (border classes, words), the taps inside the image
    classes : int64 (positions,), the border class of row ``r`` at ``r % positions``
    limits : int64 (border classes, tiles, 64); -1 where there is no neuron
    packed : uint64 (n, tiles), overwritten
    """
    if not masked:
        _fire_unmasked(rows, plane_weights, sign, limits, packed)
        return
    total = np.empty((_ROWS, TILE), dtype=np.int64)
    for first in range(0, len(rows), _ROWS):
        for tile in range(len(sign)):
            _masked_block(rows, plane_weights, sign, active, present, classes, first, tile, total)
            for row in range(first, min(first + _ROWS, len(rows))):
                limit = limits[classes[row % len(classes)], tile]
                value = np.uint64(0)
                for bit in range(TILE):
                    fires = total[row - first, bit] <= limit[bit]
                    value |= np.uint64(fires) << np.uint64(bit)
                packed[row, tile] = value


@njit(cache=True, nogil=True, boundscheck=False)
def disagreements(rows, plane_weights, sign, masked, active, present, classes, totals):
    """Weighted disagreements, int64 (n, outputs), of the same parameters as :func:`fire`."""
    count = np.empty((_ROWS, TILE), dtype=np.uint64)
    total = np.empty((_ROWS, TILE), dtype=np.int64)
    for first in range(0, len(rows), _ROWS):
        for tile in range(len(sign)):
            if masked:
                _masked_block(
                    rows, plane_weights, sign, active, present, classes, first, tile, total
                )
            else:
                _block(rows, plane_weights, sign, first, tile, count, total)
            for row in range(first, min(first + _ROWS, len(rows))):
                for output in range(tile * TILE, min((tile + 1) * TILE, totals.shape[1])):
                    totals[row, output] = total[row - first, output - tile * TILE]


@njit(cache=True, nogil=True, boundscheck=False)
def sense(sign, active, ternary, fan_in, synapses, states):
    """Sets synapses, int64 (n,) flat indices, to states, int8 (n,), in the tiles ``sign`` and, when
    ternary, ``active``."""
    for k in range(len(synapses)):
        neuron = synapses[k] // fan_in
        source = synapses[k] - neuron * fan_in
        tile, word, output = neuron >> 6, source >> 6, neuron & 63
        bit = np.uint64(1) << np.uint64(source & 63)
        sign[tile, word, output] &= ~bit
        if states[k] > 0:
            sign[tile, word, output] |= bit
        if ternary:
            active[tile, word, output] &= ~bit
            if states[k] != 0:
                active[tile, word, output] |= bit
