# SPDX-License-Identifier: BSD-2-Clause
"""Chips of equal memory modules whose word lines hold a neuron's weights and its threshold."""
