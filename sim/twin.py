# SPDX-License-Identifier: BSD-2-Clause
"""The simulated twin of a board: its whole top, compiled, and driven at the pins of its UART.

It is a byte pipe in simulated time: the clock runs while somebody waits for bytes, and stands still
otherwise. So a run depends on nothing but what is sent and for how long answers are waited for.
"""

import struct
import subprocess
from pathlib import Path

from .ports import Ports, PortsError, read
from .results import SimulationError
from .verilated import Program

_MAIN = Path(__file__).with_name("twin.cpp")
_WRAPPER = "twincell_twin_"
_COMMAND, _ANSWER = struct.Struct("<QI"), struct.Struct("<QII")


class Twin:
    """A running simulation of a board's top, which begins with its power-up.

    Parameters
    ----------
    build : directory of the Verilog and its ``ports.json``; the top has pins ``rx`` and ``tx``
    clocks_per_bit : of its UART
    clock : in Hz; what a second is
    short : whether it runs so shortly, or is so large, that it had better be compiled soon

    Raises ``PortsError`` for a top without these pins, ``ToolMissing``, and ``BuildError`` when it
    does not compile.
    """

    def __init__(
        self, build: Path, *, clocks_per_bit: int, clock: float = 12e6, short: bool = False
    ):
        ports = read(build)
        flags = ["-CFLAGS", f"-DCLOCKS_PER_BIT={clocks_per_bit}"]
        wrapper = _wrapper(ports), _WRAPPER
        binary = Program(ports, wrapper, "twin", _MAIN, flags, short=short).binary()
        self.clock, self.baud = clock, clock / clocks_per_bit
        self.cycles = 0  # since power-up
        self.unsent = 0  # bytes that wait for the line
        self._waiting = bytearray()
        self._process = subprocess.Popen(
            [str(binary)],
            cwd=ports.directory,  # where the memory files are
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt reaches us, and we end the child
        )

    def write(self, content: bytes) -> None:
        """Queues bytes for the line; they travel while the clock runs."""
        self._waiting += content

    def read(self, timeout: float) -> bytes:
        """Runs until bytes have come, at most for ``timeout`` simulated seconds."""
        return self.run(round(timeout * self.clock))

    def run(self, cycles: int) -> bytes:
        """Runs until bytes have come, at most for so many cycles.

        Raises :class:`~.results.SimulationError` when the simulation has ended.
        """
        content, self._waiting = bytes(self._waiting), bytearray()
        child = self._process
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(_COMMAND.pack(max(cycles, 0), len(content)) + content)
            child.stdin.flush()
            head = child.stdout.read(_ANSWER.size)
            self.cycles, self.unsent, count = _ANSWER.unpack(head)
            return child.stdout.read(count)
        except (OSError, ValueError, struct.error):
            raise SimulationError(f"The simulated board has ended (exit {child.poll()})") from None

    def close(self) -> None:
        """Ends the simulation; does nothing the second time."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.kill()
        self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _wrapper(ports: Ports) -> str:
    """A module of fixed port names around the top."""
    for pin, direction in (("rx", "in"), ("tx", "out")):
        found = ports.others.get(pin, {})
        if (found.get("direction"), found.get("width")) != (direction, 1):
            raise PortsError(f"{ports.top} is no board's top: it has no pin {pin} ({direction})")
    pins = [(ports.clock, "clk"), (ports.reset, "rst"), ("rx", "rx"), ("tx", "tx")]
    connections = ", ".join(f".{name}({pin})" for name, pin in pins if name)
    return (
        f"module {_WRAPPER}(input clk, input rst, input rx, output tx);\n"
        f"{ports.top} top ({connections});\nendmodule\n"
    )
