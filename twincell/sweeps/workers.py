# SPDX-License-Identifier: BSD-2-Clause
"""Who does the tasks: this process, worker processes, or a Dask cluster. The outcomes are the same.

Workers are processes of their own and not threads: one that is killed, for want of memory for
instance, takes nothing but its own task with it, which another one repeats.
"""

import os
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import wait

from ..hw.tools import ToolMissing
from ..networks import UsageError
from .tasks import Engine, Job, Outcome, Task

ATTEMPTS = 3  # of a task whose workers die
_LITTLE = 1 << 33  # products of weights and inputs: done before a worker has started


def here(job: Job, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """The outcomes of tasks that are done in this process, in their order."""
    engine = Engine(job)
    for point, number in tasks:
        try:
            outcome = engine.run((point, number))
        except Exception as error:
            raise _failed(f"Point {point}, map {number},", error) from error
        yield outcome


def default_workers(job: Job, tasks: int) -> int:
    """One for each core, or one where there is little to do."""
    work = tasks * len(job.images) * job.graph.synapses
    return 1 if work < _LITTLE else os.cpu_count() or 1


def local(job: Job, tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """The outcomes of tasks that are done by worker processes, in any order.

    Raises ``UsageError`` when ATTEMPTS workers have died of one task, and for what a worker raises.
    """
    waiting = deque(tasks)
    died: Counter[Task] = Counter()
    crew = [_Worker() for _ in range(min(workers, len(waiting)))]
    try:
        for worker in crew:
            worker.begin(job)
            worker.give(waiting)
        while busy := [worker for worker in crew if worker.task is not None]:
            for connection in wait([worker.connection for worker in busy]):
                worker = next(each for each in busy if each.connection is connection)
                try:
                    yield worker.take()
                except (EOFError, OSError):
                    crew.remove(worker)
                    task, code = worker.task, worker.end()
                    assert task is not None
                    died[task] += 1
                    if died[task] == ATTEMPTS:
                        raise UsageError(_deadly(task, code, workers)) from None
                    waiting.appendleft(task)
                    worker = _Worker()
                    crew.append(worker)
                    worker.begin(job)
                worker.give(waiting)
    finally:
        for worker in crew:
            worker.end()


def _failed(what: str, error: Exception) -> UsageError:
    """Of a task that raised: too little memory, or else a defect."""
    remedy = "`twincell -vv sweep` shows where"
    if isinstance(error, MemoryError):
        remedy = "take fewer images, or fewer --workers"
    return UsageError(f"{what} failed: {error!r}; {remedy}")


def _deadly(task: Task, code: int, workers: int) -> str:
    return (
        f"{ATTEMPTS} workers have died of point {task[0]}, map {task[1]}, the last with exit code "
        f"{code}. Are {workers} workers too many for the memory? Give fewer with --workers"
    )


class _Worker:
    """A process of ``twincell.sweeps.worker`` and the pipe to it. A session of its own keeps the
    terminal's Ctrl-C away from it; when this process dies, the pipe ends and so does the worker."""

    def __init__(self):
        self.task: Task | None = None
        self.connection, theirs = Pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "twincell.sweeps.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            theirs.close()

    def begin(self, job: Job) -> None:
        self._send(job)

    def give(self, waiting: deque[Task]) -> None:
        """Gives the next task, if there is one."""
        self.task = waiting.popleft() if waiting else None
        self._send(self.task)

    def _send(self, message: object) -> None:
        with suppress(OSError):  # It has died; who waits for its outcome will see.
            self.connection.send(message)

    def take(self) -> Outcome:
        """The outcome of its task; raises ``EOFError`` or ``OSError`` when it has died, and
        ``UsageError`` for what it raised."""
        outcome = self.connection.recv()
        if isinstance(outcome, Exception):
            raise _failed("A worker", outcome) from outcome
        return outcome

    def end(self) -> int:
        """Ends the process, whatever it does, and returns its exit code."""
        self.connection.close()
        self._process.kill()
        return self._process.wait()


def cluster(job: Job, tasks: Sequence[Task], address: str) -> Iterator[Outcome]:
    """The outcomes of tasks that a Dask cluster does, in any order.

    Raises ``ToolMissing`` without the package ``distributed``, and ``UsageError`` when the
    scheduler does not answer or a task fails there.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise ToolMissing("distributed", "python -m pip install 'twincell[dask]'") from None
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"No Dask scheduler at {address!r}: {error}") from None
    with client, client.as_current():
        if not client.scheduler_info()["workers"]:
            raise UsageError(f"The Dask cluster at {address} has no workers")
        shared = client.scatter(job, broadcast=True, hash=False)
        futures = client.map(run_cached, tasks, job=shared, pure=False, retries=ATTEMPTS - 1)
        try:
            for future in as_completed(futures):
                try:
                    outcome = future.result()
                except Exception as error:
                    raise _failed("A task of the cluster", error) from error
                yield outcome
        finally:
            client.cancel(futures)


_engines: dict[str, Engine] = {}  # of a cluster's worker: the last job's


def run_cached(task: Task, job: Job) -> Outcome:
    """The outcome of a task, with the engine of the last one when the job is the same."""
    engine = _engines.get(job.key)
    if engine is None:
        _engines.clear()
        engine = _engines[job.key] = Engine(job)
    return engine.run(task)
