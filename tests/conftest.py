# SPDX-License-Identifier: BSD-2-Clause
"""Set-up of every test run."""

import sys

# The folders are sub-packages of twincell; a bare import would load every class a second time.
sys.modules.update(dict.fromkeys(("hw", "model", "sim", "fpga")))
