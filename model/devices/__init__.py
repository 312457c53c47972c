# SPDX-License-Identifier: BSD-2-Clause
"""Cell models: from physical knobs with units to the probability of each sensed state."""
