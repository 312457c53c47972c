# SPDX-License-Identifier: BSD-2-Clause
"""What several test modules share."""
