# SPDX-License-Identifier: BSD-2-Clause
"""A worker process: reads a job and then tasks from a pipe, answers with outcomes, ends with it.

python -m twincell.sweeps.worker FILE_DESCRIPTOR
"""

import sys
from contextlib import suppress
from multiprocessing.connection import Connection

from .tasks import Engine


def main() -> None:
    """Works until the pipe ends or a task is ``None``."""
    # The pipe fails when the sweep has ended.
    with suppress(EOFError, OSError), Connection(int(sys.argv[1])) as pipe:
        engine = Engine(pipe.recv())
        while (task := pipe.recv()) is not None:
            try:
                outcome = engine.run(task)
            except Exception as error:
                outcome = error
            pipe.send(outcome)


if __name__ == "__main__":
    main()
