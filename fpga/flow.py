# SPDX-License-Identifier: BSD-2-Clause
"""From a network on a board to a bitstream, by the commands of Amaranth's build plans."""

import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from amaranth.build.run import BuildPlan

from ..model import files, store
from .description import FILE, Description, describe
from .ecp5 import take_in_registers
from .placed import OnBoard, Sized
from .targets import Board
from .tools import PRINTED, FlowError, Step, run

NAME = "top"
NEXTPNR = ("--report", "report.json", "--seed", "1", "--timing-allow-fail")
REPORT = "report.json"
LOGS = "logs"  # directory beside a bitstream, or where it should be
# What Yosys and nextpnr write for people, and its name in that directory.
_KEPT = {
    f"{NAME}.rpt": "yosys.log",
    f"{NAME}.tim": "nextpnr.log",
    REPORT: "nextpnr.json",
    PRINTED: PRINTED,
}

# What each tool writes, and Yosys's netlist for the next.
_OUTPUTS = {
    "yosys": (),
    "nextpnr-ice40": ("top.asc", REPORT),
    "icepack": ("top.bin",),
    "nextpnr-ecp5": ("top.config", REPORT),
    "ecppack": ("top.bit",),
    "nextpnr-himbaechel-gowin": ("top.pnr.json", REPORT),
    "gowin_pack": ("top.fs",),
}
_NETLIST = {"ice40": "top.json", "ecp5": "top.json", "gowin": "top.syn.json"}
BITSTREAM = {"ice40": "top.bin", "ecp5": "top.bit", "gowin": "top.fs"}
# Takes the registers of reads out of memories. Synthesis puts them back and sees which memories
# never read a row while they write it; the others get logic that answers then.
_BEFORE_SYNTHESIS = "memory_nordff"
_SYNTHESIS = {"ice40": "", "ecp5": "-nowidelut", "gowin": ""}
_LOGIC = {"ice40": "ICESTORM_LC", "ecp5": "TRELLIS_COMB", "gowin": "LUT4"}
_BLOCKS = {"ice40": ("ICESTORM_RAM",), "ecp5": ("DP16KD",), "gowin": ("BSRAM",)}

# Else Vivado writes a bitstream that does not meet its timing, too.
_WRITE = "write_bitstream "
_TIMING = """foreach check {-setup -hold} {
    set slack [get_property SLACK [get_timing_paths $check]]
    if {$slack < 0} {
        error "The clock is not met: slack of $check $slack ns; fewer lanes are faster"
    }
}
"""

# Amaranth 0.5 knows Apicula's former place and route only.
_GOWIN_COMMANDS = [
    '{{invoke_tool("yosys")}} {{quiet("-q")}} -l {{name}}.rpt {{name}}.ys',
    """
    {{invoke_tool("nextpnr-himbaechel-gowin")}}
        {{quiet("--quiet")}}
        {{get_override("nextpnr_opts")|options}}
        --device {{platform.part}}
        --vopt family={{platform._chipdb_device}}
        --vopt cst={{name}}.cst
        --log {{name}}.tim
        --json {{name}}.syn.json
        --write {{name}}.pnr.json
    """,
    """
    {{invoke_tool("gowin_pack")}}
        -d {{platform._chipdb_device}}
        -o {{name}}.fs
        {{get_override("gowin_pack_opts")|options}}
        {{name}}.pnr.json
    """,
]


@dataclass(frozen=True)
class Report:
    """What a build made, and what it takes.

    ``luts`` are logic cells as nextpnr counts them; ``fmax_mhz`` is the routed one of the
    emulator's clock; ``images_per_second`` is the network's pace at ``clock_mhz``; ``bitstream`` is
    a file name in the build's directory.
    """

    board: str
    network: str
    clock_mhz: float
    fmax_mhz: float
    luts: int
    luts_available: int
    memory_blocks: int
    memory_blocks_available: int
    image_slots: int
    cycles_per_image: int
    images_per_second: float
    bitstream: str
    sha256: str


Tell = Callable[[str], None]


def plan_of(sized: Sized) -> BuildPlan:
    """Amaranth's build plan: sources, constraints and the tools' commands."""
    board, family = sized.board, sized.board.device.family
    platform = board.make_platform()
    options: dict = {"emit_src": False}
    if family == "gowin":
        platform._apicula_command_templates = _GOWIN_COMMANDS
        platform._apicula_required_tools = ["yosys", "nextpnr-himbaechel-gowin", "gowin_pack"]
    if board.buildable:
        frequency = ("--freq", f"{board.clock / 1e6:g}")
        options["nextpnr_opts"] = " ".join((*NEXTPNR, *frequency))
        options["synth_opts"] = _SYNTHESIS[family]
        options["script_after_read"] = _BEFORE_SYNTHESIS
    plan = platform.prepare(OnBoard(sized.emulator, board.clock), NAME, **options)
    if not board.buildable:
        script = f"{NAME}.tcl"
        plan.files[script] = plan.files[script].replace(_WRITE, _TIMING + _WRITE)
    return plan


def steps(plan: BuildPlan, board: Board) -> list[Step]:
    """The commands of a plan, with the files that each reads and writes."""
    netlist = _NETLIST[board.device.family]
    written = set(plan.files)
    found = []
    for tool, *arguments in json.loads(plan.files[f"build_{NAME}.json"])["commands"]:
        outputs = _OUTPUTS[tool] or (netlist,)
        named = [re.sub(r"^\w+=", "", each) for each in arguments]
        inputs = [name for name in named if name in written and name not in outputs]
        if tool == "yosys":
            inputs.append(f"{NAME}.il")
        written |= set(outputs)
        logs = tuple(name for name in named if name in _KEPT and name not in outputs)
        found.append(Step(tool, tuple(arguments), tuple(inputs), outputs, logs))
    return found


def build(sized: Sized, out: Path, tell: Tell = lambda what: None, *, cache: bool = True) -> Report:
    """Builds the bitstream and writes it to ``out``, with the description, the network and the
    report beside it; all of it depends on the network, the board and the tools' versions alone.
    What the tools say is kept in the directory ``logs`` there, also when they fail.

    Parameters
    ----------
    tell : is told what begins
    cache : whether steps that were made before are taken from the cache

    Raises :class:`FlowError`, which names the logs, when a tool fails or the clock is not met;
    ``ToolMissing``.
    """
    board, logs = sized.board, out / LOGS
    plan = plan_of(sized)
    with tempfile.TemporaryDirectory(dir=files.folder(out), prefix=".build-") as scratch:
        here = Path(scratch)
        for name, content in plan.files.items():
            text = content.encode() if isinstance(content, str) else content
            (here / name).write_bytes(text)
        try:
            for step in steps(plan, board):
                tell(step.tool)
                run(step, here, cache=cache)
                if step.tool == "yosys" and board.device.family == "ecp5":
                    _take_in_registers(here / _NETLIST["ecp5"])
            report = _report(sized, here)
        except FlowError as error:
            raise FlowError(f"{error}\nThe logs are in {logs}") from None
        finally:
            _keep_logs(here, logs)
        bitstream = (here / BITSTREAM[board.device.family]).read_bytes()
    files.write_bytes(out / report.bitstream, bitstream)
    store.save(sized.graph, out / f"{sized.graph.name}.safetensors")
    description(sized).write(out / FILE)
    text = json.dumps(asdict(report), indent=2) + "\n"
    files.write_bytes(out / REPORT, text.encode())
    return report


def write_plan(sized: Sized, out: Path) -> list[Path]:
    """Writes sources, constraints and scripts for the vendor's tools, the description and the
    network; returns the files. A bitstream that the tools made of an earlier plan is removed."""
    plan = plan_of(sized)
    _vendors(out).unlink(missing_ok=True)
    for name, content in plan.files.items():
        text = content.encode() if isinstance(content, str) else content
        files.write_bytes(out / name, text)
    store.save(sized.graph, out / f"{sized.graph.name}.safetensors")
    description(sized).write(out / FILE)
    return [out / name for name in (*plan.files, f"{sized.graph.name}.safetensors", FILE)]


def bitstream_of(board: Board, directory: Path) -> Path:
    """The bitstream of a build; raises :class:`FlowError` when it is not there, not whole, or older
    than its plan."""
    family = board.device.family
    if not board.buildable:
        return _made_by_vendor(directory)
    path = directory / f"{board.name}{Path(BITSTREAM[family]).suffix}"
    try:
        wanted = json.loads((directory / REPORT).read_text())["sha256"]
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError):
        raise FlowError(f"{directory} holds no build of the {board.name}; build it again") from None
    if wanted != found:
        raise FlowError(f"{path} is not the bitstream that was built; build it again")
    return path


def _vendors(directory: Path) -> Path:
    """Where the vendor's tools write the bitstream of a plan."""
    return directory / f"{NAME}.bit"


def _made_by_vendor(directory: Path) -> Path:
    script, made = f"build_{NAME}.sh", _vendors(directory)
    if not made.is_file():
        raise FlowError(
            f"{directory} is a build plan: {script} makes the bitstream by the vendor's tools"
        )
    found, plan = made.stat(), (directory / FILE).stat()
    if not found.st_size:
        raise FlowError(f"{made} is empty; run {script} again")
    if found.st_mtime_ns < plan.st_mtime_ns:
        raise FlowError(f"{made} is older than its plan; run {script} again")
    return made


def description(sized: Sized) -> Description:
    """What a host must know of a build."""
    return describe(
        sized.emulator.instrument,
        board=sized.board.name,
        clock=sized.board.clock,
        clocks_per_bit=sized.clocks_per_bit,
    )


def _keep_logs(here: Path, logs: Path) -> None:
    """Puts this build's logs in the place of those of the one before."""
    for written, kept in _KEPT.items():
        if (here / written).is_file():
            logs.mkdir(exist_ok=True)
            files.write_bytes(logs / kept, (here / written).read_bytes())
        else:
            (logs / kept).unlink(missing_ok=True)


def _take_in_registers(path: Path) -> None:
    netlist = json.loads(path.read_text())
    take_in_registers(netlist, NAME)
    path.write_text(json.dumps(netlist))


def _report(sized: Sized, here: Path) -> Report:
    """From nextpnr's report; raises :class:`FlowError` when the clock is not met."""
    board, family = sized.board, sized.board.device.family
    found = json.loads((here / REPORT).read_text())
    used = found["utilization"]
    wanted = board.clock / 1e6
    # Clocks that pass through logic or the power-on timer alone are faster; the least counts.
    fmax = min(clock["achieved"] for clock in found["fmax"].values())
    if fmax < wanted:
        slower = ", and targets.py sets a lower clock" if family == "ecp5" else ""
        raise FlowError(
            f"{sized.graph.name} on {board.name} reaches {fmax:.1f} MHz, less than the clock of "
            f"{wanted:g} MHz; fewer lanes are faster{slower}"
        )
    bitstream = BITSTREAM[family]
    blocks = [used[kind] for kind in _BLOCKS[family] if kind in used]
    return Report(
        board=board.name,
        network=sized.graph.name,
        clock_mhz=wanted,
        fmax_mhz=round(fmax, 1),
        luts=used[_LOGIC[family]]["used"],
        luts_available=used[_LOGIC[family]]["available"],
        memory_blocks=sum(each["used"] for each in blocks),
        memory_blocks_available=sum(each["available"] for each in blocks),
        image_slots=sized.fit.slots,
        cycles_per_image=sized.plan.cycles_per_image,
        images_per_second=round(sized.images_per_second, 1),
        bitstream=f"{board.name}{Path(bitstream).suffix}",
        sha256=hashlib.sha256((here / bitstream).read_bytes()).hexdigest(),
    )
