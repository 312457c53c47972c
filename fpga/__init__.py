# SPDX-License-Identifier: BSD-2-Clause
"""Where it runs: board targets and the host link."""
