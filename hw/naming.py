# SPDX-License-Identifier: BSD-2-Clause
"""RTLIL of a component in which every signal has a name that says where it belongs.

Amaranth numbers the signals of a module whose names meet, as those of all its parts do, and the
ports that are not exactly one signal: ``i__payload$11``, ``port$36$0``. Here, instead,

* a module's own ports keep their names,
* the ports of a part carry the part's name in the module around it, ``layer1__o__payload``,
* a port that is part of one is named by its field or bits, ``i__payload__inputs``, ``count_2``,
* what still meets is numbered by ``_2``, ``_3``.

The names of Amaranth's design and netlist are replaced between its steps. These are not part of
its interface; its version is pinned.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Fragment, Signal, Value
from amaranth.hdl._ast import SignalDict
from amaranth.hdl._ir import Design, build_netlist
from amaranth.hdl._nir import Module, Net, Netlist
from amaranth.hdl._nir import Value as NetValue
from amaranth.lib import wiring


def convert(component: wiring.Component, name: str, ports: Mapping[str, tuple]) -> str:
    """RTLIL text of a component, without source locations.

    Parameters
    ----------
    component : the top
    name : of its module
    ports : of the top, by name: signal and ``PortDirection``
    """
    design = Fragment.get(component, None).prepare(dict(ports), hierarchy=(name,))
    own = _name_signals(design)
    netlist = build_netlist(design)
    for module in netlist.modules[1:]:
        _name_ports(netlist, module, own[module.name])
    empty = rtlil.EmptyModuleChecker(netlist)
    text = rtlil.Design(emit_src=False)
    for index, module in enumerate(netlist.modules):
        if empty.is_empty(index):
            continue
        builder = text.module(".".join(module.name), src_loc=None)
        if index == 0:
            builder.attribute("top", 1)
        rtlil.ModuleEmitter(builder, netlist, module, SignalDict(), empty_checker=empty).emit()
    return str(text)


def _name_signals(design: Design) -> dict[tuple[str, ...], set[str]]:
    """Names the signals and parts of every module; returns the names of each module's own ports."""
    owners = SignalDict()
    for fragment in design.fragments:
        for path, signal in _members(fragment.origins or ()):
            if signal not in owners:
                owners[signal] = fragment, path
    taken = _name_own(design, owners)
    own = {info.name: set(info.signal_names.values()) for info in design.fragments.values()}
    for fragment, info in design.fragments.items():
        for signal in info.used_signals:
            if signal.name and signal not in info.signal_names:
                name = _seen_from(design, fragment, signal, owners)
                info.signal_names[signal] = _unique(taken[fragment], name)
    return own


def _members(origins: Iterable[Elaboratable]) -> Iterator[tuple[tuple[str, ...], Signal]]:
    """The signals by which a component, or what has them as attributes, is connected."""
    for origin in origins:
        signature = getattr(origin, "signature", None)
        if isinstance(signature, wiring.Signature):
            for path, _, value in signature.flatten(origin):
                if isinstance(signal := Value.cast(value), Signal):
                    yield tuple(map(str, path)), signal
        else:
            for name, value in vars(origin).items():
                if isinstance(value, Signal):
                    yield (name,), value


def _name_own(design: Design, owners: SignalDict) -> dict[Fragment, set[str]]:
    """Names each module's own ports, then its parts; returns the names that are taken by then."""
    taken: dict[Fragment, set[str]] = {}
    for fragment, info in design.fragments.items():
        taken[fragment] = names = set()
        info.signal_names = SignalDict()
        if fragment is design.fragment:
            for port, signal, _ in design.ports:
                names.add(port)
                if isinstance(signal, Signal) and signal not in info.signal_names:
                    info.signal_names[signal] = port
        for signal in info.used_signals:
            owner, path = owners.get(signal, (None, ()))
            if owner is fragment and signal not in info.signal_names:
                info.signal_names[signal] = _unique(names, "__".join(path))
        for index, (part, name, _) in enumerate(fragment.subfragments):
            design.fragments[part].name = (*info.name, _unique(names, name or f"U_{index}"))
    return taken


def _seen_from(design: Design, fragment: Fragment, signal: Signal, owners: SignalDict) -> str:
    """What a module calls a signal that is not its own: by the path to the part that owns it."""
    if signal not in owners:
        return str(signal.name)
    part, path = owners[signal]
    around: list[str] = []
    while part is not None and part is not fragment:
        info = design.fragments[part]
        around, part = [info.name[-1], *around], info.parent
    return "__".join(path if part is None else (*around, *path))


def _unique(taken: set[str], name: str) -> str:
    """The name, numbered if it is taken already; from now on it is."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found


def _name_ports(netlist: Netlist, module: Module, own: set[str]) -> None:
    """Names the ports that are no signal of the module's own by what they are of one.

    Such a port may become several: bits, not ports, are what joins modules.
    """
    others = {name: value for name, (value, _) in module.ports.items() if name not in own}
    places = _places(netlist, module, own, {bit for value in others.values() for bit in value})
    taken = {*module.signal_names.values(), *module.ports}
    taken |= {netlist.modules[part].name[-1] for part in module.submodules}
    ports = {}
    for name, (value, flow) in module.ports.items():
        if name in own:
            ports[name] = value, flow
            continue
        for label, bits in _pieces(places, name, list(value)):
            # A port keeps the name of a signal that it is: no other has it.
            ports[name if label == name else _unique(taken, label)] = NetValue(bits), flow
    module.ports = ports


class _Place(NamedTuple):
    """A signal or a field of one: whether it is the module's own, its name and its bits."""

    own: bool
    name: str
    bits: list[Net]


def _places(
    netlist: Netlist, module: Module, own: set[str], bits: set[Net]
) -> dict[Net, list[_Place]]:
    """Where each of the bits occurs."""
    places: dict[Net, list[_Place]] = {bit: [] for bit in bits}
    for signal, name in module.signal_names.items():
        for path, field in netlist.signal_fields[signal].items():
            place = _Place(name in own, "__".join([name, *map(str, path)]), list(field.value))
            for bit in bits.intersection(place.bits):
                places[bit].append(place)
    return places


def _pieces(
    places: dict[Net, list[_Place]], name: str, bits: list[Net]
) -> Iterator[tuple[str, list[Net]]]:
    """Cuts a port into fields of the module's own signals, as far as it is made of them."""
    while bits:
        found = places[bits[0]]
        fields = [each for each in found if each.own and each.bits == bits[: len(each.bits)]]
        if not fields:
            yield _part_name(found, name, bits), bits
            return
        field = max(fields, key=lambda each: len(each.bits))
        yield field.name, field.bits
        bits = bits[len(field.bits) :]


def _part_name(found: list[_Place], name: str, bits: list[Net]) -> str:
    """What bits are called that are no field: by their place in the narrowest field that has them
    in this order, or as some of its bits."""
    for own in (True, False):
        if not own and not name.startswith("port$"):
            return name
        fields = sorted((each for each in found if each.own == own), key=lambda e: len(e.bits))
        for each in fields:
            first = each.bits.index(bits[0])
            last = first + len(bits) - 1
            if each.bits[first : last + 1] == bits:
                return f"{each.name}_{first}" if first == last else f"{each.name}_{last}_{first}"
        if fields:
            return f"{fields[0].name}_bits"
    return "through"
