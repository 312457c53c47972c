# SPDX-License-Identifier: BSD-2-Clause
"""Experiments: published results, reproduced, one file each.

A file ``some_name.py`` here is the experiment ``some-name``. It has a ``SUMMARY`` of one line and a
function ``run(job: Job) -> Report``; nothing else is to be done. Files that start with an
underscore are the frame: the report, the registry and the commands.
"""
