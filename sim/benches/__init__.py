# SPDX-License-Identifier: BSD-2-Clause
"""cocotb benches: modules that a simulator imports, not pytest."""
