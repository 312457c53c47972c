# SPDX-License-Identifier: BSD-2-Clause
"""Experiments: one file for each published result that is reproduced."""
