# SPDX-License-Identifier: BSD-2-Clause
"""The host's side of a board: transports, the session, and what a board does for it. No torch."""
