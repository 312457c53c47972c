# SPDX-License-Identifier: BSD-2-Clause
"""Learning tasks one after the other, resumable after every epoch, or every few."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from ..checkpoint import load_checkpoint, save_checkpoint
from ..generators import mix
from ..layers import ScoreHead
from . import CHECKPOINT
from .consolidation import Consolidation
from .networks import seeded
from .tasks import Task, digest

_LEAST = {"epochs": 1, "batch": 2, "seed": 0, "halve_every": 0, "test_every": 1}
_TEST_BATCH = 10_000  # of a test; without running statistics, batch-norm sees so many images


@dataclass(frozen=True)
class Protocol:
    """How a sequence of tasks is learned.

    Parameters
    ----------
    epochs : passes over each task
    batch : images of a step; a last partial batch is left out
    seed : of the order of the images, and of what the network draws itself, as dropout does
    fresh_optimizer : whether each task starts with a new optimizer (tasks) or not (streams)
    task_norm : whether each task is tested with the batch-norm it ended with (and with the offsets
        of a score head), else with the latest
    halve_every : epochs of a task after which the rates are halved, of groups of the optimizer that
        do not say ``scheduled: False``; 0 for never
    test_every : epochs of a task after which tasks are tested; its last one is always
    """

    epochs: int
    batch: int = 100
    seed: int = 0
    fresh_optimizer: bool = True
    task_norm: bool = True
    halve_every: int = 0
    test_every: int = 1

    def __post_init__(self):
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be an integer from {least}, not {value!r}")


@dataclass(frozen=True)
class Epoch:
    """What one pass measured: the mean loss, penalties left out, and the test accuracies of this
    and all earlier tasks, none where the protocol does not test. ``task`` counts from 0, ``number``
    from 1 within the task."""

    task: int
    number: int
    loss: float
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class History:
    """All epochs of a run."""

    epochs: tuple[Epoch, ...]

    def matrix(self) -> list[list[float]]:
        """Row i: the accuracies of tasks 0 to i after task i was learned."""
        last = {epoch.task: list(epoch.accuracies) for epoch in self.epochs}
        return [last[task] for task in sorted(last)]

    def final(self) -> list[float]:
        """The accuracy of each task at the end."""
        return self.matrix()[-1]

    def forgotten(self) -> list[float]:
        """What each task but the last has lost since it was learned."""
        rows = self.matrix()
        return [rows[task][task] - rows[-1][task] for task in range(len(rows) - 1)]

    def record(self) -> dict:
        """Plain data for a report."""
        return {"matrix": self.matrix(), "epochs": [asdict(epoch) for epoch in self.epochs]}


def learn(
    network: nn.Module,
    optimizer: Callable[[nn.Module], Optimizer],
    tasks: Sequence[Task],
    protocol: Protocol,
    *,
    consolidation: Consolidation | None = None,
    directory: str | Path | None = None,
    identity: str = "",
    checkpoint_every: int = 1,
    progress: Callable[[Epoch], None] | None = None,
) -> History:
    """Trains ``network`` in place on one task after the other.

    A later call with a network made in the same way continues from the checkpoint in
    ``directory``; on one machine, with one number of threads, a resumed run equals an uninterrupted
    one bit for bit, devices included. The consolidation begins anew, whatever it was used for.

    Parameters
    ----------
    optimizer : makes the optimizer of a network; each group's rate follows the protocol's schedule
        unless the group is not ``scheduled``
    directory : gets checkpoints; without, nothing is written
    identity : what else tells this run from others
    checkpoint_every : epochs from one checkpoint to the next; the end always leaves one
    progress : called after each epoch

    Raises ``ValueError`` for tasks smaller than a batch and for a network that cannot have the
    consolidation, ``CheckpointError``.
    """
    if checkpoint_every < 1:
        raise ValueError(f"checkpoint_every must be at least 1, not {checkpoint_every!r}")
    for each in tasks:
        if (count := len(each.train_images)) < protocol.batch:
            batch = protocol.batch
            raise ValueError(f"{each.name}: {count} images are fewer than a batch's {batch}")
    consolidation = consolidation or Consolidation()
    consolidation.check(network)
    consolidation.clear()
    run = _Run(network, optimizer, tasks, protocol, consolidation)
    path = None if directory is None else Path(directory) / CHECKPOINT
    mark = run.identity(identity)
    if path and (state := load_checkpoint(path, mark)):
        run.restore(state)
    epochs = len(tasks) * protocol.epochs
    while len(run.history) < epochs:
        run.epoch()
        over = len(run.history)
        if path and (over == epochs or over % checkpoint_every == 0):
            save_checkpoint(path, mark, run.state())
        if progress:
            progress(run.history[-1])
    return History(tuple(run.history))


@dataclass(eq=False)
class _Run:
    """The state of one run, and what an epoch does to it."""

    network: nn.Module
    make: Callable[[nn.Module], Optimizer]
    tasks: Sequence[Task]
    protocol: Protocol
    consolidation: Consolidation
    history: list[Epoch] = field(default_factory=list)
    norms: list[dict[str, Tensor]] = field(default_factory=list)  # of the finished tasks

    def __post_init__(self):
        self.optimizer = self.make(self.network)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]

    def identity(self, extra: str) -> dict[str, str]:
        return {
            "protocol": repr(self.protocol),
            "tasks": " ".join(each.digest() for each in self.tasks),
            "network": f"{self.network!r} {digest(self.network.state_dict().values())}",
            "optimizer": _description(self.optimizer),
            "consolidation": repr(self.consolidation),
            "identity": extra,
        }

    def epoch(self) -> None:
        """One pass over the current task; the last one also closes it."""
        index, number = divmod(len(self.history), self.protocol.epochs)
        if number == 0 and index and self.protocol.fresh_optimizer:
            self.optimizer = self.make(self.network)
        self._schedule(number)
        with seeded(mix(self.protocol.seed, *b"network", index, number)):
            loss = self._train(self.tasks[index], index, number)
        last = number + 1 == self.protocol.epochs
        if last:
            task = self.tasks[index]
            self.consolidation.end_task(self.network, task.train_images, task.train_labels)
            self.norms.append(_norm_state(self.network))
        tested = last or (number + 1) % self.protocol.test_every == 0
        found = self._test(index) if tested else ()
        self.history.append(Epoch(index, number + 1, loss, found))

    def _schedule(self, number: int) -> None:
        every = self.protocol.halve_every
        factor = 0.5 ** (number // every) if every else 1.0
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor if group.get("scheduled", True) else rate

    def _train(self, task: Task, index: int, number: int) -> float:
        draws = torch.Generator().manual_seed(mix(self.protocol.seed, index, number) >> 1)
        order = torch.randperm(len(task.train_images), generator=draws)
        steps = len(order) // self.protocol.batch
        self.network.train()
        total = 0.0
        for batch in order.split(self.protocol.batch)[:steps]:
            images, labels = (
                each.index_select(0, batch) for each in (task.train_images, task.train_labels)
            )
            total += self._step(images, labels) / steps
        return total

    def _step(self, images: Tensor, labels: Tensor) -> float:
        self.optimizer.zero_grad()
        loss = functional.cross_entropy(self.network(images), labels)
        loss.backward()
        self.consolidation.before_step(self.network)
        self.consolidation.add_gradient(self.network)
        self.optimizer.step()
        self.consolidation.after_step(self.network)
        return loss.item()

    def _test(self, index: int) -> tuple[float, ...]:
        """The accuracies of all tasks up to ``index``, each with its batch-norm.

        Pieces of a stream have the same test images: with the same batch-norm they are tested once.
        """
        latest, found = _norm_state(self.network), {}
        places = []
        for earlier, task in enumerate(self.tasks[: index + 1]):
            own = self.protocol.task_norm and earlier < len(self.norms)
            place = earlier if own else None, id(task.test_images), id(task.test_labels)
            if place not in found:
                self.network.load_state_dict(self.norms[earlier] if own else latest, strict=False)
                found[place] = accuracy(self.network, task.test_images, task.test_labels)
            places.append(place)
        self.network.load_state_dict(latest, strict=False)
        return tuple(found[place] for place in places)

    def state(self) -> dict:
        """All that a later run needs to continue."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "consolidation": self.consolidation.state_dict(),
            "norms": self.norms,
            "history": [asdict(epoch) for epoch in self.history],
        }

    def restore(self, state: dict) -> None:
        """The inverse of :meth:`state`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.consolidation.load_state_dict(state["consolidation"])
        self.norms = list(state["norms"])
        self.history = [
            Epoch(**(each | {"accuracies": tuple(each["accuracies"])})) for each in state["history"]
        ]


def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Fraction of images that the network labels rightly, in evaluation mode."""
    network.eval()
    with torch.no_grad():
        parts = zip(images.split(_TEST_BATCH), labels.split(_TEST_BATCH), strict=True)
        right = sum(int((network(x).argmax(dim=1) == y).sum()) for x, y in parts)
    return right / len(labels)


def _norm_state(network: nn.Module) -> dict[str, Tensor]:
    """Copies of the parameters and buffers of all batch-norms, and of the offsets and the scale of
    a score head, which stands in the place of one; by their names in the network."""
    kinds = (nn.modules.batchnorm._BatchNorm, ScoreHead)
    return {
        f"{name}.{key}": value.clone()
        for name, module in network.named_modules()
        if isinstance(module, kinds)
        for key, value in module.state_dict().items()
        if key != "latent" and not key.startswith("memory.")
    }


def _description(optimizer: Optimizer) -> str:
    """The optimizer's kind and its groups' options."""
    groups = [
        {key: value for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]
    return f"{type(optimizer).__name__} {groups}"
