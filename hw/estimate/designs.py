# SPDX-License-Identifier: BSD-2-Clause
"""Layers by themselves, for calibration: many of them in one synthesis."""

from collections.abc import Callable, Mapping

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...model import nodes
from ..dense import Dense
from ..gearbox import Gearbox, vector_stream
from ..head import Head
from ..layer_plan import LayerPlan
from ..pool import Pool
from ..pool_plan import PoolPlan
from ..stochastic import Presenter


class Unit:
    """A layer with the gearbox in front of it and random weights and thresholds.

    Parameters
    ----------
    layer : the plan; with the name ``head`` the output layer, otherwise a hidden one
    beat : elements of a beat of the gearbox's input
    array : makes the array from node and plan
    """

    def __init__(self, layer: LayerPlan, beat: int, array: Callable[..., wiring.Component]):
        rng = np.random.default_rng(0)
        shape = (layer.outputs, layer.inputs)
        active = rng.integers(0, 2, shape) if layer.ternary else None
        weights = nodes.Weights(rng.integers(0, 2, shape), active)
        # Presentations that are planes have constants of their own, and so have border classes.
        variants = layer.presentations if layer.equal else (1,)
        if layer.window is not None:
            variants *= layer.window.border_classes
        most = np.array([[layer.inputs * layer.shown(each).plane_weight] for each in variants])
        values = rng.integers(most // 4, most // 4 * 3 + 1, (len(variants), layer.outputs))
        if layer.name == "head":
            made, kind = nodes.Head(weights, values - most // 2), Head
        else:
            made, kind = nodes.Dense(weights, values[:, None]), Dense
        self.array = array(made, layer)
        self.layer = kind(made, layer, self.array)
        self.words = Gearbox(layer.pixel_bits, layer.elements, beat, layer.word)


class PoolUnit:
    """A pooling with the gearbox in front of it; random channels take the AND.

    Parameters
    ----------
    pool : the plan
    beat : elements of a beat of the gearbox's input
    """

    array = None

    def __init__(self, pool: PoolPlan, beat: int):
        channels = pool.window.channels
        modes = np.random.default_rng(0).integers(0, 2, channels)
        made = nodes.MaxPool(pool.window.kernel, pool.window.stride, modes)
        self.layer = Pool(made, pool.window, pool.size)
        self.words = Gearbox(1, pool.elements, beat, pool.word)


class Presenters(wiring.Component):
    """Presenters of stochastic inputs side by side, by name.

    Members
    -------
    i_*, o_*, end_*, load_*, start_* : of each
    """

    def __init__(self, presenters: Mapping[str, Presenter]):
        self.presenters = dict(presenters)
        members = {
            f"{port}_{name}": member
            for name, presenter in presenters.items()
            for port, member in presenter.signature.members.items()
        }
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        for name, presenter in self.presenters.items():
            m.submodules[name] = presenter
            connect(m, flipped(getattr(self, f"i_{name}")), presenter.i)
            connect(m, presenter.o, flipped(getattr(self, f"o_{name}")))
            for port in ("end", "load", "start"):
                m.d.comb += getattr(presenter, port).eq(getattr(self, f"{port}_{name}"))
        return m


class Units(wiring.Component):
    """Units side by side; each is a layer, or a pooling, of the name that it is given by.

    Members
    -------
    i_*, o_* : streams of each unit
    variant_* : of units with presentations, see :class:`~..head.Head`
    """

    def __init__(self, units: Mapping[str, Unit | PoolUnit]):
        self.units = dict(units)
        self.arrays = [unit.array for unit in units.values()]
        members = {}
        for name, unit in units.items():
            members[f"i_{name}"] = In(vector_stream(unit.words.bits, unit.words.i_size))
            given = unit.layer.signature.members
            members[f"o_{name}"] = Out(given["o"].signature)
            if "variant" in given:
                members[f"variant_{name}"] = given["variant"]
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        for name, unit in self.units.items():
            m.submodules[f"{name}_words"] = unit.words
            m.submodules[name] = unit.layer
            connect(m, flipped(getattr(self, f"i_{name}")), unit.words.i)
            connect(m, unit.words.o, unit.layer.i)
            connect(m, unit.layer.o, flipped(getattr(self, f"o_{name}")))
            if "variant" in unit.layer.signature.members:
                m.d.comb += unit.layer.variant.eq(getattr(self, f"variant_{name}"))
        return m
