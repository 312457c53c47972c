# SPDX-License-Identifier: BSD-2-Clause
"""Contents of memories in the Verilog that Yosys writes: in files named by their place, inline, or,
where there are none yet, as zeros."""

import re
from collections.abc import Mapping

_MODULE = re.compile(r"^module (\\\S+ |\w+)", re.MULTILINE)
_MEMORY = re.compile(r'^(  initial \$readmemb\(")(out-\d+\.mem)(", (\\\S+ |\w+)\);)$')


def place_memories(
    text: str, contents: Mapping[str, bytes], name: str, top: str, *, inline: bool
) -> tuple[str, dict[str, bytes]]:
    """Verilog whose memories have their contents, and the files that it reads.

    Parameters
    ----------
    text : Verilog that reads Yosys's numbered files
    contents : of these, by name
    name, top : of the network and of the module, for the names of files
    inline : whether contents stand in the Verilog itself; there are no files then
    """
    zeros = {file for file, words in contents.items() if b"1" not in words}
    text = _filled(text, {file: _zeros(contents[file]) for file in zeros})
    if inline:
        return _filled(text, {file: _words(contents[file]) for file in contents}), {}
    text, names = _named(text, name, top)
    return text, {named: contents[file] for file, named in names.items()}


def _named(text: str, name: str, top: str) -> tuple[str, dict[str, str]]:
    """Names memory files after their place in the hierarchy: ``<name>.<module>.<memory>.mem``.

    Returns the text that reads the named files, and the name of each of Yosys's numbered files.
    """
    lines, names, module = text.split("\n"), {}, top
    for number, line in enumerate(lines):
        if found := _MODULE.match(line):
            module = found[1].strip().removeprefix("\\")
        elif found := _MEMORY.match(line):
            inside = module.removeprefix(top).strip(".")
            memory = found[4].strip().removeprefix("\\")
            path = ".".join(part for part in (name, inside, memory) if part)
            path = stem = re.sub(r"[^A-Za-z0-9_.-]", "_", path)
            copies = 1
            while f"{path}.mem" in names.values():
                copies += 1
                path = f"{stem}.{copies}"
            names[found[2]] = f"{path}.mem"
            lines[number] = f"{found[1]}{path}.mem{found[3]}"
    return "\n".join(lines), names


def _filled(text: str, blocks: Mapping[str, str]) -> str:
    """Replaces ``$readmemb`` of the files by what stands for them, with the memory's name."""
    lines = []
    for line in text.split("\n"):
        found = _MEMORY.match(line)
        if found and found[2] in blocks:
            plain = re.sub(r"\W", "_", found[4].strip())
            line = blocks[found[2]].replace("MEMORY", found[4]).replace("CLEAR", f"clear_{plain}")
        lines.append(line)
    return "\n".join(lines)


def _words(content: bytes) -> str:
    """An ``initial`` block of a memory's words, in hexadecimal."""
    words = [
        f"    MEMORY[{row}] = {len(word)}'h{int(word, 2):x};\n"
        for row, word in enumerate(content.decode().split())
    ]
    return f"  initial begin\n{''.join(words)}  end"


def _zeros(content: bytes) -> str:
    """A loop that clears a memory: as a buffer's contents, before anything is written, are 0."""
    words = content.split()
    return (
        "  initial begin : CLEAR\n"
        "    integer cleared;\n"
        f"    for (cleared = 0; cleared < {len(words)}; cleared = cleared + 1)\n"
        f"      MEMORY[cleared] = {len(words[0])}'h0;\n"
        "  end"
    )
