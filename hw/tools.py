# SPDX-License-Identifier: BSD-2-Clause
"""What simulators and build flows say when a program that they call is not there."""


class ToolMissing(RuntimeError):
    """A tool that this needs is not there; ``install`` is the command that installs it."""

    def __init__(self, tool: str, install: str):
        super().__init__(f"{tool} is missing; install it with: {install}")
        self.tool = tool
        self.install = install
