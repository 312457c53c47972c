# SPDX-License-Identifier: BSD-2-Clause
"""Learning with memory devices, and learning that does not forget."""

CHECKPOINT = "learning.pt"  # of a run, in its directory
