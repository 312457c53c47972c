# SPDX-License-Identifier: BSD-2-Clause
"""Small networks the project trained itself: recipe (.toml), weights (.safetensors) and measured
accuracy (.json)."""
