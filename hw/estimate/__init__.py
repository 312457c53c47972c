# SPDX-License-Identifier: BSD-2-Clause
"""Area, energy and latency of a plan."""
