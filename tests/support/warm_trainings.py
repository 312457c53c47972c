# SPDX-License-Identifier: BSD-2-Clause
"""Imported by a server that forks trainings: see :func:`tests.support.small_trainings.warm`."""

from tests.support.small_trainings import warm

warm()
