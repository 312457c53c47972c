# SPDX-License-Identifier: BSD-2-Clause
"""Simulation of the generated Verilog: cocotb benches and a compiled native runner."""
