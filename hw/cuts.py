# SPDX-License-Identifier: BSD-2-Clause
"""Two modules of one name, cut open at their registers, memories and instances and laid side by
side: what the proof of :mod:`.equivalence` is about.

A module is one of Yosys's JSON, with registers as ``$dff`` and memories as ``$mem_v2`` that are
read without a clock. A net is a number, and a constant bit one of the characters 0, 1, x and z.
"""

from collections.abc import Collection, Hashable, Iterator, Set
from dataclasses import dataclass, field
from itertools import count, zip_longest

Net = Hashable
# What two memories have in common, and what also if they are written.
SHAPE = ("WIDTH", "SIZE", "OFFSET", "ABITS", "RD_PORTS", "RD_CLK_ENABLE", "RD_WIDE_CONTINUATION")
WRITE_PORTS = (
    "WR_PORTS", "WR_WIDE_CONTINUATION", "WR_PRIORITY_MASK", "WR_CLK_ENABLE", "WR_CLK_POLARITY",
)  # fmt: skip
# Gates whose output is defined wherever their inputs are.
LOGIC = {
    "$not", "$and", "$or", "$xor", "$xnor", "$mux", "$add", "$sub", "$mul", "$neg", "$pos",
    "$eq", "$ne", "$lt", "$le", "$ge", "$gt", "$logic_not", "$logic_and", "$logic_or",
    "$reduce_and", "$reduce_or", "$reduce_xor", "$reduce_xnor", "$reduce_bool",
    "$shl", "$sshl", "$shr", "$sshr", "$shift",
}  # fmt: skip
# Where the proof cuts, and which end of the cell is free then.
OUTPUT = {"$dff": "Q", "$mem_v2": "RD_DATA"}


class Difference(Exception):
    """What the two modules do not have in common, with the signal's name."""


@dataclass
class Cut:
    """Two modules, *gold* and *gate*, without their state.

    ``given`` are nets that both have from the same place: an input, a register, the word that a
    memory shows, the output of an instance. ``taken`` are nets that must be equal, by name: an
    output, the next value of a register, what a memory or an instance gets. ``words`` of memories
    were compared, and were equal. ``constants`` are registers of gold, by name, that gate does not
    have: they keep their initial values if their next values are proven to be those.
    """

    gold: dict
    gate: dict
    given: list[tuple[list[Net], list[Net]]] = field(default_factory=list)
    taken: list[tuple[str, list[Net], list[Net]]] = field(default_factory=list)
    words: int = 0
    constants: set[str] = field(default_factory=set)

    @property
    def names(self) -> list[str]:
        """Of each bit of ``taken``."""
        return [
            f"{name}[{index}]" if len(gold) > 1 else name
            for name, gold, _ in self.taken
            for index in range(len(gold))
        ]

    def give(self, name: str, gold: list[Net], gate: list[Net]) -> None:
        """Both sides have these nets from the same place."""
        _same_width(name, gold, gate)
        self.given.append((gold, gate))

    def take(self, name: str, gold: list[Net], gate: list[Net]) -> None:
        """These nets must be equal."""
        _same_width(name, gold, gate)
        self.taken.append((name, gold, gate))

    def joined(self) -> dict:
        """One module with the gates of both sides, and for each bit of ``taken`` a cell ``$equiv``
        called by its index in ``names``. What only one side has is free there, so that nothing
        that is proven depends on it.
        """
        fresh = count(2)
        gold, gate = _Nets(fresh), _Nets(fresh)
        for ones, others in self.given:
            for one, other in zip(ones, others, strict=True):
                (gold[one],) = gate.of([other])
        cells = {}
        for tag, module, nets in (("gold", self.gold, gold), ("gate", self.gate, gate)):
            for name, cell in module["cells"].items():
                if cell["type"] in LOGIC:
                    ends = {port: nets.of(bits) for port, bits in cell["connections"].items()}
                    cells[f"{tag}:{name}"] = {**cell, "connections": ends}
        wires = {}
        index = count()
        for number, (_, ones, others) in enumerate(self.taken):
            proven = [next(fresh) for _ in ones]
            # Yosys takes the bits of one wire together.
            wires[f"signal{number}"] = {"hide_name": 0, "bits": proven}
            for a, b, y in zip(gold.of(ones), gate.of(others), proven, strict=True):
                ends = {"A": [a], "B": [b], "Y": [y]}
                cells[f"equal{next(index)}"] = {
                    "type": "$equiv", "parameters": {}, "connections": ends
                }  # fmt: skip
        return {"ports": {}, "cells": cells, "netnames": wires}


class _Nets(dict):
    """Nets of a module to nets of the joined one. Constants stay, and each undefined bit is a free
    net of its own: what is proven holds whatever it is."""

    def __init__(self, fresh: Iterator[int]):
        self.fresh = fresh

    def of(self, bits: list[Net]) -> list[Net]:
        return [bit if bit in ("0", "1") else self._of(bit) for bit in bits]

    def _of(self, bit: Net) -> int:
        return next(self.fresh) if bit in ("x", "z") else self[bit]

    def __missing__(self, net: Net) -> int:
        self[net] = next(self.fresh)
        return self[net]


def cut(gold: dict, gate: dict, library: dict[str, dict], free: Set[str] = frozenset()) -> Cut:
    """Cuts the two modules open; ``library`` has the ports of modules that are instances in them.
    An instance of any other module is a black box, which is the same on both sides. A register that
    gate does not have is taken to be constant, unless it is in ``free``.

    Raises :class:`Difference` for ports, instances, registers' initial values and clock edges, or
    memories and their contents, that are not the same; for nets with two drivers; and for cells of
    an unknown kind.
    """
    made = Cut(gold, gate)
    library = library | _black_boxes(gold, library)
    for side in (gold, gate):
        _drivers(side, library)
    _ports(made)
    _instances(made, library)
    _memories(made)
    _registers(made, free)
    return made


def _black_boxes(side: dict, library: dict[str, dict]) -> dict[str, dict]:
    """Ports of instances of modules that nobody described: what the others drive are inputs."""
    known, boxes = _drivers(side, library), {}
    for cell in side["cells"].values():
        if not cell["type"].startswith("$") and cell["type"] not in library:
            ends = cell["connections"].items()
            inputs = {port: {*bits} <= known | {"0", "1"} for port, bits in ends}
            boxes[cell["type"]] = {
                port: {"direction": "input" if given else "output"}
                for port, given in inputs.items()
            }
    return boxes


def _drivers(side: dict, library: dict[str, dict]) -> set[Net]:
    """Nets that an input, or a cell of a known kind, drives.

    Refuses nets with two drivers: what both sides are given could not be told apart there.
    """
    drivers = [port["bits"] for port in side["ports"].values() if port["direction"] != "output"]
    for name, cell in side["cells"].items():
        kind, ends = cell["type"], cell["connections"]
        if kind in library:
            drivers += [bits for port, bits in ends.items() if not _takes(library, kind, port)]
        elif kind in LOGIC or kind in OUTPUT:
            drivers.append(ends[OUTPUT.get(kind, "Y")])
        elif kind.startswith("$"):
            raise Difference(f"{name} is an unknown {kind}")
    driven: set[Net] = set()
    for bit in (bit for bits in drivers for bit in bits):
        if bit in driven or bit in ("0", "1"):
            raise Difference(f"{_name(side, bit)} has two drivers")
        driven.add(bit)
    return driven


def _takes(library: dict[str, dict], kind: str, port: str) -> bool:
    return library[kind].get(port, {}).get("direction") == "input"


def _name(side: dict, net: Net) -> str:
    wires = side["netnames"].items()
    return " = ".join(name for name, wire in wires if net in wire["bits"]) or f"net {net}"


def _ports(made: Cut) -> None:
    gold, gate = made.gold["ports"], made.gate["ports"]
    _same("port", gold, gate)
    for name, port in gold.items():
        bits, others = port["bits"], gate[name]["bits"]
        if port["direction"] != gate[name]["direction"]:
            raise Difference(f"port {name} has another direction")
        hand = made.take if port["direction"] == "output" else made.give
        hand(name, bits, others)


def _instances(made: Cut, library: dict[str, dict]) -> None:
    gold, gate = (
        {name: cell for name, cell in side["cells"].items() if not cell["type"].startswith("$")}
        for side in (made.gold, made.gate)
    )
    _same("instance", gold, gate)
    for name, cell in gold.items():
        kind, other = cell["type"], gate[name]
        if other["type"] != kind or other["parameters"] != cell["parameters"]:
            raise Difference(f"{name} is another instance than one of {kind}")
        ends, others = cell["connections"], other["connections"]
        _same(f"port of {name}", ends, others)
        for port, bits in ends.items():
            hand = made.take if _takes(library, kind, port) else made.give
            hand(f"{name}.{port}", bits, others[port])


def _memories(made: Cut) -> None:
    gold, gate = (
        {c["parameters"]["MEMID"]: c for c in side["cells"].values() if c["type"] == "$mem_v2"}
        for side in (made.gold, made.gate)
    )
    # One that only gold has is free there: nothing that is proven depends on it.
    _same("memory", {name: gold[name] for name in gold.keys() & gate.keys()}, gate)
    for identity, other in gate.items():
        name, cell = identity.removeprefix("\\"), gold[identity]
        made.words += _same_contents(name, cell["parameters"], other["parameters"])
        ends = (cell["connections"], other["connections"])
        made.give(f"{name}.RD_DATA", *(each["RD_DATA"] for each in ends))
        made.take(f"{name}.RD_ADDR", *(each["RD_ADDR"] for each in ends))
        if not any(_writes(each) for each in (cell, other)):
            continue
        for what in WRITE_PORTS:
            _same_number(
                f"{what} of the memory {name}", cell["parameters"], other["parameters"], what
            )
        for port in ("WR_CLK", "WR_EN"):
            made.take(f"{name}.{port}", *(each[port] for each in ends))
        # Of a bit that is not written, neither what nor where matters.
        sides = zip((made.gold, made.gate), ends, strict=True)
        written = [_written(side, name, end) for side, end in sides]
        for index, port in enumerate(("WR_DATA", "WR_ADDR")):
            made.take(f"{name}.{port}", *(each[index] for each in written))


def _writes(memory: dict) -> bool:
    """Whether a memory has a write port that is ever enabled."""
    return any(bit != "0" for bit in memory["connections"]["WR_EN"])


def _same_contents(name: str, gold: dict, gate: dict) -> int:
    """Compares shape and contents of two memories; returns how many words."""
    for what in SHAPE:
        _same_number(f"{what} of the memory {name}", gold, gate, what)
    if _number(gold["RD_CLK_ENABLE"]):
        raise Difference(f"the memory {name} has a read port with a clock")
    width, size = _number(gold["WIDTH"]), _number(gold["SIZE"])
    wanted, found = (each["INIT"].rjust(width * size, "x") for each in (gold, gate))
    for row in range(size):
        end = width * (size - row)
        one, other = (text[end - width : end] for text in (wanted, found))
        if any(a != b and a != "x" for a, b in zip(one, other, strict=True)):
            raise Difference(f"{name}[{row}] is {other}, not {one}")
    return size


def _written(side: dict, name: str, ends: dict) -> tuple[list[Net], list[Net]]:
    """Data and addresses of a memory's write ports, 0 where nothing is written."""
    data, enable, address = ends["WR_DATA"], ends["WR_EN"], ends["WR_ADDR"]
    masked: list[Net] = [(name, "data", k) for k in range(len(data))]
    side["cells"][f"{name}:data"] = _gate("$and", A=data, B=enable, Y=masked)
    any_bit = (name, "any")
    side["cells"][f"{name}:any"] = _gate("$reduce_or", A=enable, Y=[any_bit])
    where: list[Net] = [(name, "address", k) for k in range(len(address))]
    zero: list[Net] = ["0"] * len(address)
    side["cells"][f"{name}:address"] = _gate("$mux", A=zero, B=address, S=[any_bit], Y=where)
    return masked, where


def _gate(kind: str, **ends: list[Net]) -> dict:
    parameters = {f"{port}_WIDTH": f"{len(bits):032b}" for port, bits in ends.items()}
    if kind == "$mux":
        parameters = {"WIDTH": parameters["Y_WIDTH"]}
    else:
        parameters |= {f"{port}_SIGNED": f"{0:032b}" for port in ends if port != "Y"}
    return {"type": kind, "parameters": parameters, "connections": ends}


def _registers(made: Cut, free: Set[str]) -> None:
    """Registers belong together by their names. Where Yosys found two to be equal, both names are
    of one in the Verilog, and where it found one constant, its name is of that constant or gone."""
    gold, gate = _flipflops(made.gold), _flipflops(made.gate)
    starts, others = _initial(made.gold), _initial(made.gate)
    clocks = set()
    for bit, (name, twin) in _twins(made, gold, gate).items():
        start = starts.get(bit, "x")
        if twin is None:
            if name in free or start == "x":
                continue
            twin = start
            made.constants.add(name)
        value, clock, edge = gold[bit]
        constant = isinstance(twin, str)
        found = twin if constant else others.get(twin, "x")
        if start not in (found, "x"):
            raise Difference(f"{name} starts as {found}, not {start}")
        other, other_clock, other_edge = (twin, clock, edge) if constant else gate[twin]
        made.give(name, [bit], [twin])
        made.take(name, [value], [other])
        if edge != other_edge:
            raise Difference(f"{name} takes the other edge of its clock")
        if not constant and (clock, other_clock) not in clocks:
            clocks.add((clock, other_clock))
            made.take(f"clock of {name}", [clock], [other_clock])


def _twins(
    made: Cut, gold: Collection[Net], gate: Collection[Net]
) -> dict[Net, tuple[str, Net | None]]:
    """For each register of gold its name, and the register or the constant of that name in gate."""
    named = {name: wire["bits"] for name, wire in _public(made.gate)}
    twins: dict[Net, tuple[str, Net | None]] = {bit: (f"register {bit}", None) for bit in gold}
    for name, wire in _public(made.gold):
        bits = wire["bits"]
        for index, (bit, twin) in enumerate(zip_longest(bits, named.get(name, [])[: len(bits)])):
            if bit in gold and twins[bit][1] is None:
                known = twin in gate or twin in ("0", "1")
                whole = f"{name}[{index}]" if len(bits) > 1 else name
                twins[bit] = whole, twin if known else None
    return twins


def _flipflops(side: dict) -> dict[Net, tuple[Net, Net, int]]:
    """By the bit that a flip-flop drives: what it takes, its clock, and of that which edge."""
    found = {}
    for cell in side["cells"].values():
        if cell["type"] == "$dff":
            ends = cell["connections"]
            edge = _number(cell["parameters"]["CLK_POLARITY"])
            for bit, value in zip(ends["Q"], ends["D"], strict=True):
                found[bit] = value, ends["CLK"][0], edge
    return found


def _initial(side: dict) -> dict[Net, str]:
    """Initial values, by net."""
    starts = {}
    for wire in side["netnames"].values():
        values = wire["attributes"].get("init", "")[::-1]
        starts |= dict(zip(wire["bits"], values, strict=False))
    return starts


def _public(side: dict) -> Iterator[tuple[str, dict]]:
    return ((name, wire) for name, wire in side["netnames"].items() if not wire["hide_name"])


def _same(what: str, gold: dict, gate: dict) -> None:
    for name in gold.keys() - gate.keys():
        raise Difference(f"{what} {name} is missing")
    for name in gate.keys() - gold.keys():
        raise Difference(f"{what} {name} is one too many")


def _same_width(name: str, gold: list[Net], gate: list[Net]) -> None:
    if len(gold) != len(gate):
        raise Difference(f"{name} has {len(gate)} bits, not {len(gold)}")


def _same_number(name: str, gold: dict, gate: dict, what: str) -> None:
    wanted, found = _number(gold[what]), _number(gate[what])
    if found != wanted:
        raise Difference(f"{name} is {found}, not {wanted}")


def _number(bits: str) -> int:
    return int(bits or "0", 2)
