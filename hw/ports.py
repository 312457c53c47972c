# SPDX-License-Identifier: BSD-2-Clause
"""What ``ports.json`` says of a component: its streams, their fields, and its other ports.

Benches, hosts and other people's tools read names, widths and bit positions from it instead of
guessing them from the Verilog.
"""

from collections.abc import Iterator
from itertools import product
from math import prod

from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import data, stream, wiring

FORMAT = "twincell.ports"
VERSION = 1


def describe(signature: wiring.Signature) -> tuple[dict, dict]:
    """The streams and the other ports of a component's signature, keyed by their names.

    The names are those that the Verilog shows: members of nested interfaces and the elements of
    arrays of interfaces are joined by two underscores. What has no bits is no port; the payload of
    a stream of such is ``None``.
    """
    streams, ports = {}, {}
    for name, member in _members(signature):
        direction = "in" if member.flow is wiring.In else "out"
        if member.is_port:
            shape = Shape.cast(member.shape)
            if shape.width:
                ports[name] = {"direction": direction, "width": shape.width, "signed": shape.signed}
        else:
            streams[name] = {"direction": direction, **_stream(name, member.signature)}
    return streams, ports


def _members(signature: wiring.Signature, prefix: tuple[str, ...] = ()) -> Iterator:
    """(Verilog name, member) of every stream and every port outside streams, in order."""
    for name, member in signature.members.items():
        for index in product(*map(range, member.dimensions)):
            path = (*prefix, name, *map(str, index))
            if member.is_port or isinstance(_plain(member.signature), stream.Signature):
                yield "__".join(path), member
            else:
                yield from _members(member.signature, path)


def _plain(signature):
    """The signature without a ``flipped()`` around it: the member's flow carries the direction."""
    return signature.flip() if isinstance(signature, wiring.FlippedSignature) else signature


def _stream(name: str, signature: stream.Signature) -> dict:
    shape = signature.members["payload"].shape
    return {
        "payload": f"{name}__payload" if Shape.cast(shape).width else None,
        "valid": None if signature.always_valid else f"{name}__valid",
        "ready": None if signature.always_ready else f"{name}__ready",
        "width": Shape.cast(shape).width,
        "fields": fields(shape),
    }


def fields(shape: ShapeLike) -> list[dict]:
    """Fields of a payload: name, bit offset, width of one element, sign and count of elements.

    ``count`` is null for what is not an array; a payload without named members is one field
    called ``payload``. Members of nested structures get dotted names.
    """
    return list(_fields(shape, "", 0))


def _fields(shape: ShapeLike, name: str, offset: int) -> Iterator[dict]:
    layout = data.Layout.cast(shape) if _is_layout(shape) else None
    if isinstance(layout, data.StructLayout):
        for key, field in layout:
            inner = f"{name}.{key}" if name else str(key)
            yield from _fields(field.shape, inner, offset + field.offset)
        return
    count, element = None, shape
    if isinstance(layout, data.ArrayLayout):
        lengths, element = [], layout
        while isinstance(element, data.ArrayLayout):
            lengths.append(element.length)
            element = element.elem_shape
        count = prod(lengths)
    plain = Shape.cast(element)
    yield {
        "name": name or "payload",
        "offset": offset,
        "width": plain.width,
        "signed": plain.signed,
        "count": count,
    }


def _is_layout(shape: ShapeLike) -> bool:
    return isinstance(shape, data.Layout) or (
        isinstance(shape, type) and issubclass(shape, data.Struct)
    )
