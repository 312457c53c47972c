# SPDX-License-Identifier: BSD-2-Clause
"""Memory devices whose resistance learns by pulses."""
