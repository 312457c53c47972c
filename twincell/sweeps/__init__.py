# SPDX-License-Identifier: BSD-2-Clause
"""Accuracy against error rate: points, tasks, workers, ledger, intervals, reports."""
