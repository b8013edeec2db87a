"""Arithmetic in vector registers: what plain Numba turns into scalar code, as pieces of LLVM.

A segment is `length` positions at `first`: a row number within its group and a quantity each. Its losses under one
block of scenarios are the sum over positions of quantity x row, one fused multiply-add a position and eight
scenarios, in storage order. The sums stay in registers; only what is asked of them leaves.

`width` is a tuple whose length says how many registers of eight scenarios a block has: Numba compiles a kernel for
each length that is used and keeps each in its cache. The values in the tuple mean nothing.

Nothing here checks its arguments: a wrong row reads whatever lies there.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
"""Scenarios in one register."""

_njit: Any = njit
uncounted: Any = _njit(_nrt=False)
"""For what runs once a segment or a fill, and allocates nothing: without it Numba counts references to every array of
the layout at every step, which takes longer than the work. The arrays are held by whoever calls the kernel."""
inlined: Any = _njit(_nrt=False, forceinline=True)
"""The same, for small functions that take a whole layout: a call would copy the place and shape of ten arrays."""
_intrinsic: Any = intrinsic
_declared: Any = cgutils.get_or_insert_function
_F64, _I64, _I32 = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_F64, LANES)
_BYTES = 8 * LANES
_ORDERED = ("nnan", "nsz")
"""Risk tables are finite, so a comparison may take it that nothing is NaN."""


@_intrinsic
def worst_of(
    typing: Any, width: Any, losses: Any, row: Any, instrument: Any, quantity: Any, first: Any, length: Any
) -> Any:
    """Return the largest loss of a segment over one block of scenarios.

    losses: (..., rows, LANES x registers) float64, C order, at an address divisible by 64; row: the row of instrument
    0 of the group; instrument (unsigned), quantity (float64): flat; first: where the segment begins; length: how many
    positions it has, 1 or more, or a tuple of so many: then the compiler knows, and the loop is written out.
    """
    signature = types.float64(width, losses, types.int64, instrument, quantity, types.int64, length)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _largest(builder, _sums(context, builder, signature, arguments))

    return signature, generate


@_intrinsic
def losses_of(
    typing: Any,
    width: Any,
    losses: Any,
    row: Any,
    instrument: Any,
    quantity: Any,
    first: Any,
    length: Any,
    out: Any,
    at: Any,
) -> Any:
    """Write the losses of a segment over one block of scenarios to `out`, flat, from place `at`.

    The rest as in `worst_of`, but length may be 0: then all is 0.
    """
    index = types.int64
    signature = types.void(width, losses, index, instrument, quantity, index, length, out, index)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        base = _address(context, builder, signature.args[7], arguments[7])
        base = builder.add(base, builder.mul(arguments[8], _I64(8)))
        for k, total in enumerate(_sums(context, builder, signature, arguments)):
            to = builder.inttoptr(builder.add(base, _I64(k * _BYTES)), _VECTOR.as_pointer())
            builder.store(total, to, align=8)
        return context.get_dummy_value()

    return signature, generate


@_intrinsic
def below(typing: Any, array: Any, first: Any, count: Any, value: Any) -> Any:
    """Return how many of the `count` numbers array[first : first + count] are less than `value`.

    array: flat, unsigned; eight numbers are read from `first` on, so count is 0 to 8.
    """
    signature = types.int64(array, types.int64, types.int64, array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = _lanes(context, builder, signature, arguments, "<")
        return builder.zext(builder.ctpop(bits), _I64)

    return signature, generate


@_intrinsic
def first_equal(typing: Any, array: Any, first: Any, count: Any, value: Any) -> Any:
    """Return the place, from 0, of the first of `count` numbers that equals `value`; 8 where none does.

    The rest as in `below`, but count may be more than 8: no more than eight are looked at.
    """
    signature = types.int64(array, types.int64, types.int64, array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = _lanes(context, builder, signature, arguments, "==")
        # With a bit above all lanes there is always one to be found.
        return builder.cttz(builder.or_(builder.zext(bits, _I64), _I64(1 << LANES)), ir.IntType(1)(1))

    return signature, generate


@_intrinsic
def largest_below(typing: Any, array: Any, first: Any, count: Any, bound: Any) -> Any:
    """Return the largest of the numbers array[first : first + count] that are less than `bound`; -inf for none.

    array: flat float64, without NaN; count: a tuple of so many registers of LANES numbers.
    """
    signature = types.float64(array, types.int64, count, types.float64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, first, _, bound = arguments
        place = builder.add(_address(context, builder, signature.args[0], array), builder.mul(first, _I64(8)))
        limit, nothing = _splat(builder, bound), ir.Constant(_VECTOR, [float("-inf")] * LANES)
        found = []
        for k in range(signature.args[2].count):
            numbers = _load(builder, builder.add(place, _I64(k * _BYTES)), _VECTOR, 8)
            found.append(builder.select(builder.fcmp_ordered("<", numbers, limit), numbers, nothing))
        return _largest(builder, found)

    return signature, generate


@_intrinsic
def at_least(typing: Any, array: Any, first: Any, bound: Any) -> Any:
    """Return 64 bits: which of the numbers array[first : first + 64] are `bound` or more. array: flat float64."""
    signature = types.uint64(array, types.int64, types.float64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, first, bound = arguments
        place = builder.add(_address(context, builder, signature.args[0], array), builder.mul(first, _I64(8)))
        limit, bits = _splat(builder, bound), _I64(0)
        for k in range(64 // LANES):
            numbers = _load(builder, builder.add(place, _I64(k * _BYTES)), _VECTOR, 8)
            byte = builder.bitcast(builder.fcmp_ordered(">=", numbers, limit), ir.IntType(LANES))
            bits = builder.or_(bits, builder.shl(builder.zext(byte, _I64), _I64(k * LANES)))
        return bits

    return signature, generate


@_intrinsic
def lowest_bit(typing: Any, bits: Any) -> Any:
    """Return the place of the lowest bit that is set; 64 where none is."""
    signature = types.int64(types.uint64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return signature, generate


@_intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Have the cache line of `array[index]` (one axis) fetched: it is about to be read and written."""
    signature = types.void(array, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        size = context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype))
        base = _address(context, builder, signature.args[0], arguments[0])
        place = builder.add(base, builder.mul(arguments[1], _I64(size)))
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, _I32, _I32, _I32])
        fetch = _declared(builder.module, kind, "llvm.prefetch.p0")
        builder.call(fetch, [builder.inttoptr(place, pointer), _I32(1), _I32(3), _I32(1)])
        return context.get_dummy_value()

    return signature, generate


def _lanes(context: Any, builder: Any, signature: Any, arguments: Any, comparison: str) -> Any:
    """Emit the comparison of the first `count` of eight numbers with a value; return a byte, a bit for each."""
    array, first, count, value = arguments
    number = ir.IntType(signature.args[0].dtype.bitwidth)
    size = number.width // 8
    place = builder.add(_address(context, builder, signature.args[0], array), builder.mul(first, _I64(size)))
    found = _load(builder, place, ir.VectorType(number, LANES), size)
    compared = builder.icmp_unsigned(comparison, found, _splat(builder, value))
    order = ir.Constant(ir.VectorType(_I64, LANES), list(range(LANES)))
    counted = builder.icmp_signed("<", order, _splat(builder, count))
    return builder.bitcast(builder.and_(compared, counted), ir.IntType(LANES))


def _sums(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Emit the loop over positions; return one sum for each register of the block."""
    registers = signature.args[0].count
    _, losses, row, instrument, quantity, first, length = arguments[:7]
    _, losses_type, _, instrument_type, quantity_type = signature.args[:5]
    row_bytes = _I64(registers * _BYTES)
    table = _address(context, builder, losses_type, losses)
    table = builder.add(table, builder.mul(row, row_bytes))
    instruments = _address(context, builder, instrument_type, instrument)
    quantities = _address(context, builder, quantity_type, quantity)
    size = instrument_type.dtype.bitwidth // 8
    name = f"llvm.fma.v{LANES}f64"
    fma = _declared(builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), name)
    zero = ir.Constant(_VECTOR, [0.0] * LANES)

    def added(position: Any, sums: list[Any]) -> list[Any]:
        which = _load(builder, builder.add(instruments, builder.mul(position, _I64(size))), ir.IntType(8 * size), size)
        amount = _load(builder, builder.add(quantities, builder.mul(position, _I64(8))), _F64, 8)
        number = which if size == 8 else builder.zext(which, _I64)
        unit = builder.add(table, builder.mul(number, row_bytes))
        spread = _splat(builder, amount)
        units = [_load(builder, builder.add(unit, _I64(k * _BYTES)), _VECTOR, _BYTES) for k in range(registers)]
        return [builder.call(fma, [spread, *pair]) for pair in zip(units, sums, strict=True)]

    length_type: Any = signature.args[6]
    if isinstance(length_type, types.BaseTuple):
        sums = [zero] * registers
        for k in range(signature.args[6].count):
            sums = added(builder.add(first, _I64(k)), sums)
        return sums
    end = builder.add(first, length)
    before = builder.block
    loop, after = builder.append_basic_block("position"), builder.append_basic_block("summed")
    builder.cbranch(builder.icmp_signed("<", first, end), loop, after)
    builder.position_at_end(loop)
    position = builder.phi(_I64)
    position.add_incoming(first, before)
    partial = [builder.phi(_VECTOR) for _ in range(registers)]
    grown = added(position, partial)
    following = builder.add(position, _I64(1))
    position.add_incoming(following, loop)
    for total, more in zip(partial, grown, strict=True):
        total.add_incoming(zero, before)
        total.add_incoming(more, loop)
    builder.cbranch(builder.icmp_signed("<", following, end), loop, after)
    builder.position_at_end(after)
    sums = [builder.phi(_VECTOR) for _ in range(registers)]
    for total, more in zip(sums, grown, strict=True):
        total.add_incoming(zero, before)
        total.add_incoming(more, loop)
    return sums


def _address(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.ptrtoint(data, _I64)


def _load(builder: Any, address: Any, kind: Any, align: int) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=align, typ=kind)


def _splat(builder: Any, number: Any) -> Any:
    undefined = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    first = builder.insert_element(undefined, number, _I32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _largest(builder: Any, vectors: list[Any]) -> Any:
    """Emit the largest number of some registers."""
    while len(vectors) > 1:
        pairs = [_larger(builder, *vectors[k : k + 2]) for k in range(0, len(vectors) - 1, 2)]
        vectors = pairs + vectors[2 * len(pairs) :]
    kind = ir.FunctionType(_F64, [_VECTOR])
    reduce = _declared(builder.module, kind, f"llvm.vector.reduce.fmax.v{LANES}f64")
    return builder.call(reduce, [vectors[0]], fastmath=_ORDERED)


def _larger(builder: Any, left: Any, right: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", left, right, flags=_ORDERED), left, right)
