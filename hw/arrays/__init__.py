# SPDX-License-Identifier: BSD-2-Clause
"""Memory arrays behind one signature: a word line and input bits in, XNOR results out."""
