# SPDX-License-Identifier: BSD-2-Clause
"""What is computed: networks as graphs over bits and integers, their references and training."""
