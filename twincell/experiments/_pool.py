# SPDX-License-Identifier: BSD-2-Clause
"""Trainings on all cores: each a process with one thread, so that its result does not depend on how
many there are."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from typing import ClassVar, Protocol

from ..networks import UsageError

_ENDED = (
    "A training was ended from outside, as the system does when memory is short. Run the same "
    "command again to continue; `taskset -c 0` before it runs one training at a time"
)


class Resumable(Protocol):
    """A training that leaves its result in a folder, and until then a checkpoint from which it
    continues. It goes to another process, so it must be picklable."""

    @property
    def epochs(self) -> int:
        """Of the whole training."""
        ...

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        ...

    def run(self, progress: Callable[[], None]) -> None:
        """Trains; ``progress`` is called after each epoch."""
        ...


def finish(trainings: Sequence[Resumable], *, here: bool, advance: Callable[[int], None]) -> None:
    """Does the trainings that are not done, in this order: in this process if ``here``, else on all
    cores. ``advance`` is called with the number of epochs that were done meanwhile, also by earlier
    runs. Raises what a training raises, and ends the others.
    """
    waiting = [each for each in trainings if not each.done]
    before = sum(each.epochs for each in trainings if each.done)
    if before:
        advance(before)
    left = _Left([each.epochs for each in waiting], advance)
    if here:
        for index, each in enumerate(waiting):
            _run(each, lambda index=index: left.tick(index))
            left.over(index)
    elif waiting:
        _in_processes(waiting, left)


class _Left:
    """Epochs that trainings have yet to do, by their index."""

    def __init__(self, epochs: Sequence[int], advance: Callable[[int], None]):
        self.epochs, self.advance = [*epochs], advance

    def tick(self, index: int) -> None:
        """An epoch is over."""
        self.epochs[index] -= 1
        self.advance(1)

    def over(self, index: int) -> None:
        """The training is over, with the epochs of earlier runs."""
        if self.epochs[index]:
            self.advance(self.epochs[index])


class _Tick:
    """Tells the process that started this one of a finished epoch."""

    queue: ClassVar[SimpleQueue[int]]  # of indices; a worker has it from its beginning

    def __init__(self, index: int):
        self.index = index

    def __call__(self) -> None:
        self.queue.put(self.index)


def _run(training: Resumable, progress: Callable[[], None]) -> None:
    with _one_thread():
        training.run(progress)


def _in_processes(waiting: Sequence[Resumable], left: _Left) -> None:
    with _workers(min(len(os.sched_getaffinity(0)), len(waiting))) as (ticks, pool):
        with _uninterrupted():  # a worker that saw Ctrl-C would print where it was
            pending = {
                pool.submit(_run, each, _Tick(index)): index for index, each in enumerate(waiting)
            }
        while pending:
            over, _ = wait(pending, timeout=1, return_when=FIRST_EXCEPTION)
            while not ticks.empty():
                left.tick(ticks.get())
            for each in over:
                try:
                    each.result()  # raises what the training raised
                except BrokenProcessPool:
                    raise UsageError(_ENDED) from None
                left.over(pending.pop(each))


@contextmanager
def _workers(count: int) -> Iterator[tuple[SimpleQueue[int], ProcessPoolExecutor]]:
    """A queue for finished epochs, and processes that do what they are given. They have ended when
    the block is left, at once where it raises; and with this process, also where it is killed."""
    spawn = multiprocessing.get_context("spawn")  # a fork would take torch's threads along
    ticks = spawn.SimpleQueue()
    pool = ProcessPoolExecutor(count, spawn, initializer=_begin, initargs=(ticks,))
    try:
        yield ticks, pool
    except BaseException:
        with _uninterrupted():
            for process in list(pool._processes.values()):
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C comes at the end of the block, and never to the processes that are started in it."""
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()  # which alone handles signals
    # The mask is for the processes; the system gives a signal to any thread that does not block it.
    handler = main and signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if main:
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _begin(ticks: SimpleQueue[int]) -> None:
    """The first that a worker does."""
    _Tick.queue = ticks
    _end_with_parent()


def _end_with_parent() -> None:
    """Ends this process as soon as the one that started it is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Lets torch use one thread."""
    import torch  # takes two seconds

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)
