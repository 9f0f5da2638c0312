"""Blocks of lanes at once: what a vector operation leaves as bits of a word, which Numba has no name for.

No bounds are checked: a block must lie inside its arrays. Uncompiled, each is what it says in NumPy.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

BLOCK = 64
SHORT_BLOCK = 16
_COMPILED = not vars(config)["DISABLE_JIT"]


def _word(lanes: Any) -> Any:
    """Truth values as bits of a word, in Python."""
    return np.uint64(sum(1 << int(lane) for lane in np.flatnonzero(lanes)))


class _Vectors:
    """Writes the instructions of an intrinsic on blocks of so many lanes."""

    def __init__(self, context: Any, builder: Any, lanes: int) -> None:
        self.context, self.builder, self.lanes = context, builder, lanes

    def place(self, kind: Any, array: Any, index: Any) -> tuple[Any, int]:
        """(address of a block, its alignment in bytes)."""
        data = self.context.make_array(kind)(self.context, self.builder, array).data
        block = ir.VectorType(ir.IntType(kind.dtype.bitwidth), self.lanes)
        place = self.builder.bitcast(self.builder.gep(data, [index]), block.as_pointer())
        return place, kind.dtype.bitwidth // 8

    def load(self, kind: Any, array: Any, index: Any) -> Any:
        """A block as int32 lanes."""
        place, align = self.place(kind, array, index)
        found = self.builder.load(place, align=align)
        if kind.dtype.bitwidth == 32:
            return found
        return self.builder.sext(found, ir.VectorType(ir.IntType(32), self.lanes))

    def all(self, value: Any) -> Any:
        """An int32 in every lane."""
        kind = ir.VectorType(ir.IntType(32), self.lanes)
        if isinstance(value, int):
            return ir.Constant(kind, [value] * self.lanes)
        nothing = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(one, nothing, ir.Constant(kind, [0] * self.lanes))

    def word(self, bits: Any) -> Any:
        """Lanes of one bit as a word of 64."""
        word = self.builder.bitcast(bits, ir.IntType(self.lanes))
        return word if self.lanes == 64 else self.builder.zext(word, ir.IntType(64))


def _nonnegative(lanes: int) -> Any:
    """(charge, a): bit i is set where ``charge[a + i] >= 0``."""

    def in_python(charge: Any, a: Any) -> Any:
        return _word(charge[int(a) : int(a) + lanes] >= 0)

    def compiled(typing_context, charge, a):
        def generate(context, builder, signature, arguments):
            v = _Vectors(context, builder, lanes)
            block = v.load(signature.args[0], *arguments)
            return v.word(builder.icmp_signed(">=", block, v.all(0)))

        return types.uint64(charge, types.uint64), generate

    return intrinsic(compiled) if _COMPILED else in_python


def _positive(lanes: int) -> Any:
    """(weights, b): bit i is set where ``weights[b + i] > 0``."""

    def in_python(weights: Any, b: Any) -> Any:
        return _word(weights[int(b) : int(b) + lanes] > 0)

    def compiled(typing_context, weights, b):
        def generate(context, builder, signature, arguments):
            v = _Vectors(context, builder, lanes)
            block = v.load(signature.args[0], *arguments)
            return v.word(builder.icmp_signed(">", block, v.all(0)))

        return types.uint64(weights, types.uint64), generate

    return intrinsic(compiled) if _COMPILED else in_python


def _add(lanes: int) -> Any:
    """(charge, weights, a, b): ``charge[a + i] += weights[b + i]``; ``nonnegative`` of the sums."""

    def in_python(charge: Any, weights: Any, a: Any, b: Any) -> Any:
        found = charge[int(a) : int(a) + lanes]
        found += weights[int(b) : int(b) + lanes]
        return _word(found >= 0)

    def compiled(typing_context, charge, weights, a, b):
        def generate(context, builder, signature, arguments):
            v = _Vectors(context, builder, lanes)
            place, align = v.place(signature.args[0], arguments[0], arguments[2])
            weight = v.load(signature.args[1], arguments[1], arguments[3])
            total = builder.add(builder.load(place, align=align), weight)
            builder.store(total, place, align=align)
            return v.word(builder.icmp_signed(">=", total, v.all(0)))

        return types.uint64(charge, weights, types.uint64, types.uint64), generate

    return intrinsic(compiled) if _COMPILED else in_python


def _add_times(lanes: int) -> Any:
    """(charge, weights, a, b, factor): as ``add``, weights times an int32 factor."""

    def in_python(charge: Any, weights: Any, a: Any, b: Any, factor: Any) -> Any:
        found = charge[int(a) : int(a) + lanes]
        found += factor * weights[int(b) : int(b) + lanes].astype(np.int32)
        return _word(found >= 0)

    def compiled(typing_context, charge, weights, a, b, factor):
        def generate(context, builder, signature, arguments):
            v = _Vectors(context, builder, lanes)
            place, align = v.place(signature.args[0], arguments[0], arguments[2])
            weight = v.load(signature.args[1], arguments[1], arguments[3])
            times = builder.mul(weight, v.all(arguments[4]))
            total = builder.add(builder.load(place, align=align), times)
            builder.store(total, place, align=align)
            return v.word(builder.icmp_signed(">=", total, v.all(0)))

        return types.uint64(charge, weights, types.uint64, types.uint64, types.int32), generate

    return intrinsic(compiled) if _COMPILED else in_python


def _asked(lanes: int) -> Any:
    """(charge, count, a, lower, upper, lowest, levels): which signed neurons are asked to emit.

    Those with ``charge >= upper`` and ``count < levels``, or ``charge < lower`` and ``count > lowest``.
    """

    def in_python(charge: Any, count: Any, a: Any, lower: Any, upper: Any, lowest: Any, levels: Any) -> Any:
        held, emitted = (array[int(a) : int(a) + lanes] for array in (charge, count))
        return _word(((held >= upper) & (emitted < levels)) | ((held < lower) & (emitted > lowest)))

    def compiled(typing_context, charge, count, a, lower, upper, lowest, levels):
        def generate(context, builder, signature, arguments):
            v = _Vectors(context, builder, lanes)
            held = v.load(signature.args[0], arguments[0], arguments[2])
            emitted = v.load(signature.args[1], arguments[1], arguments[2])
            low, high, least, most = (v.all(value) for value in arguments[3:])
            up = builder.and_(builder.icmp_signed(">=", held, high), builder.icmp_signed("<", emitted, most))
            down = builder.and_(builder.icmp_signed("<", held, low), builder.icmp_signed(">", emitted, least))
            return v.word(builder.or_(up, down))

        scalars = (types.int32,) * 4
        return types.uint64(charge, count, types.uint64, *scalars), generate

    return intrinsic(compiled) if _COMPILED else in_python


def _first_lane() -> Any:
    """A function of a word that is not 0: its lowest set bit."""

    def in_python(mask: Any) -> Any:
        return np.uint64((int(mask) & -int(mask)).bit_length() - 1)

    def compiled(typing_context, mask):
        def generate(context, builder, signature, arguments):
            return builder.cttz(arguments[0], cgutils.true_bit)

        return types.uint64(types.uint64), generate

    return intrinsic(compiled) if _COMPILED else in_python


nonnegative, nonnegative_short = _nonnegative(BLOCK), _nonnegative(SHORT_BLOCK)
positive, positive_short = _positive(BLOCK), _positive(SHORT_BLOCK)
add, add_short = _add(BLOCK), _add(SHORT_BLOCK)
add_times, add_times_short = _add_times(BLOCK), _add_times(SHORT_BLOCK)
asked, asked_short = _asked(BLOCK), _asked(SHORT_BLOCK)
first_lane = _first_lane()
