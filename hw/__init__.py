# SPDX-License-Identifier: BSD-2-Clause
"""How it is computed: plans, Amaranth components and the Verilog made from them."""
