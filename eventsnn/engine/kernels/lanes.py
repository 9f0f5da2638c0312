"""Which lanes of a block are not negative, as bits of a word: a vector comparison Numba has no name for."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

BLOCK = 64
SHORT_BLOCK = 16


def _nonnegative_lanes(lanes: int) -> Any:
    """A function of (charge, first): bit i is set where ``charge[first + i] >= 0``, i < lanes.

    No bounds are checked: the block must lie inside the array.
    """

    def in_python(charge: Any, first: Any) -> Any:
        found = np.flatnonzero(charge[int(first) : int(first) + lanes] >= 0)
        return np.uint64(sum(1 << int(lane) for lane in found))

    def compiled(typing_context, charge, first):
        def generate(context, builder, signature, arguments):
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            block = ir.VectorType(ir.IntType(32), lanes)
            start = builder.gep(array.data, [arguments[1]])
            values = builder.load(builder.bitcast(start, block.as_pointer()), align=4)
            bits = builder.icmp_signed(">=", values, ir.Constant(block, [0] * lanes))
            word = builder.bitcast(bits, ir.IntType(lanes))
            return word if lanes == 64 else builder.zext(word, ir.IntType(64))

        return types.uint64(charge, types.uint64), generate

    return in_python if vars(config)["DISABLE_JIT"] else intrinsic(compiled)


def _first_lane() -> Any:
    """A function of a word that is not 0: its lowest set bit."""

    def in_python(mask: Any) -> Any:
        return np.uint64((int(mask) & -int(mask)).bit_length() - 1)

    def compiled(typing_context, mask):
        def generate(context, builder, signature, arguments):
            return builder.cttz(arguments[0], cgutils.true_bit)

        return types.uint64(types.uint64), generate

    return in_python if vars(config)["DISABLE_JIT"] else intrinsic(compiled)


nonnegative_lanes = _nonnegative_lanes(BLOCK)
nonnegative_short = _nonnegative_lanes(SHORT_BLOCK)
first_lane = _first_lane()
