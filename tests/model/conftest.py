# SPDX-License-Identifier: BSD-2-Clause
"""Set-up of the tests in this folder."""

import torch

# The tensors are so small that threads would mostly wait for each other.
torch.set_num_threads(1)
