# SPDX-License-Identifier: BSD-2-Clause
"""Standard edges around a network: AXI-Stream, a register bank, AXI4-Lite and Wishbone."""
