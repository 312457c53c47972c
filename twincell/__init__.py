# SPDX-License-Identifier: BSD-2-Clause
"""Hardware for binarized neural networks whose weights live in resistive or magnetic memory."""
