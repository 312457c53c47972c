# SPDX-License-Identifier: BSD-2-Clause
"""Training: a recipe becomes a trained network and its graph, resumable after every epoch."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional

from . import files
from .augmentation import distort
from .calibration import presented
from .checkpoint import load_checkpoint, save_checkpoint
from .data import Dataset, load
from .draws import at_mean_rate
from .errors import ErrorMap, LayerErrors
from .export import export, weighted_nodes
from .generators import mix
from .graph import Graph
from .integer import Interpreter, labels
from .layers import Pixels, convnet, mlp
from .planes import Stochastic
from .presentations import Showing
from .recipe import Optimization, Recipe, RecipeError
from .statistics import wilson
from .store import digest, save

CHECKPOINT = "checkpoint.pt"
STATISTICS = 20_000  # training images behind the batch-norm statistics of stochastic inputs
# Streams of random numbers.
_INIT, _SPLIT, _EPOCH, _ERRORS, _MAPS, _SHOWN, _HELD = range(7)


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training set measured; accuracies are fractions.

    ``loss`` and ``accuracy`` are means over the distorted images, each before the step it led to;
    ``validation`` is the accuracy on the images held out, ``None`` when there are none.
    """

    number: int
    loss: float
    accuracy: float
    validation: float | None


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network: ``graph`` got ``correct`` of ``images`` test images right.

    ``with_errors`` holds the accuracies with the error maps that the recipe asks for. A stochastic
    input is measured with each supported number of presentations, ``by_presentations``, and
    ``correct`` is that of the first one.
    """

    recipe: Recipe
    graph: Graph
    model: nn.Sequential
    images: int
    by_presentations: tuple[int, ...]
    history: tuple[Epoch, ...]
    with_errors: tuple[float, ...] = ()

    @property
    def correct(self) -> int:
        """Test images that the graph labels rightly."""
        return self.by_presentations[0]

    @property
    def accuracy(self) -> float:
        """Fraction of the test images that the graph labels rightly."""
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95 % interval of the accuracy."""
        return wilson(self.correct, self.images)

    def record(self) -> dict:
        """What was measured and on what, as plain data for a report."""
        record = {
            "network": self.graph.name,
            "digest": digest(self.graph),
            "data": self.recipe.data,
            "test_images": self.images,
            **_measured(self.correct, self.images),
            "epochs": len(self.history),
            "seed": self.recipe.seed,
        }
        if isinstance(planes := self.graph.input.planes, Stochastic):
            record["presentations"] = [
                {"presentations": count, **_measured(correct, self.images)}
                for count, correct in zip(planes.presentations, self.by_presentations, strict=True)
            ]
        if self.recipe.errors is not None:
            found = self.with_errors
            record["errors"] = {
                "persistent": self.recipe.errors.persistent,
                "maps": len(found),
                "accuracy": sum(found) / len(found),
                "worst": min(found),
                "best": max(found),
            }
        return record

    def publish(self, folder: str | Path) -> Path:
        """Writes NAME.safetensors and its measured record NAME.json; returns the network's path."""
        path = Path(folder) / f"{self.graph.name}.safetensors"
        save(self.graph, path)
        text = json.dumps(self.record(), indent=2) + "\n"
        files.write_bytes(path.with_suffix(".json"), text.encode())
        return path


def _measured(correct: int, images: int) -> dict:
    return {
        "correct": correct,
        "accuracy": correct / images,
        "wilson_95": list(wilson(correct, images)),
    }


def train(
    recipe: Recipe,
    directory: str | Path,
    *,
    data: Dataset | None = None,
    resume: bool = True,
    progress: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Trains ``recipe``, exports the network after the last epoch and measures it.

    ``directory`` gets a checkpoint after each epoch, from which a later call with the same recipe
    and data continues. All random numbers derive from the recipe's seed and the epoch, so on one
    machine, with one number of threads, a resumed run equals an uninterrupted one bit for bit. The
    test set is used once, at the end.

    Parameters
    ----------
    data : by default the recipe's data set, read by :func:`~twincell.model.data.load`
    resume : whether to continue from a checkpoint that is there, or to overwrite it
    progress : called after each epoch; by default a bar on a terminal's standard error

    Raises ``RecipeError`` when the data are too few for it, ``DataError``, ``CheckpointError``, and
    ``OSError`` when ``directory`` cannot be written.
    """
    data = _prepared(recipe, data or load(recipe.data))
    run = _Run(recipe, data)
    path = files.folder(directory) / CHECKPOINT
    # Without what is left at its default, so that a field that comes later orphans no checkpoint.
    given = recipe.model_dump_json(exclude_defaults=True)
    identity = {"recipe": given, "data set": data.digest()}
    if resume and (state := load_checkpoint(path, identity)):
        run.restore(state)
    with _reporting(recipe, progress) as report:
        for number in range(len(run.history), recipe.training.epochs):
            run.history.append(run.epoch(number))
            save_checkpoint(path, identity, run.state())
            report(run.history[-1])
    graph = run.export()
    correct = _correct(graph, data)
    history, found = tuple(run.history), tuple(_with_errors(recipe, graph, data))
    return Trained(recipe, graph, run.model, len(data.test_labels), correct, history, found)


class _Run:
    """The state of one training run, and what an epoch does to it."""

    def __init__(self, recipe: Recipe, data: Dataset):
        self.recipe = recipe
        options = recipe.training
        images, labels = torch.tensor(data.train_images), torch.tensor(data.train_labels)
        order = torch.randperm(len(images), generator=_draws(recipe, _SPLIT))
        if not options.validation <= len(images) - options.batch:
            raise RecipeError(
                f"{len(images)} training images are too few for a batch of {options.batch} "
                f"besides {options.validation} for validation"
            )
        held, used = order[: options.validation], order[options.validation :]
        self.held = images[held], labels[held]
        self.used = images[used], labels[used].to(torch.int64)
        self.planes = planes = recipe.input.stochastic(data.bits)
        count = recipe.input.shown or (planes and planes.presentations[0])
        self.showing = Showing(planes, count) if planes and count != "grey" else None
        self.shape = _shape(recipe, data)
        self.model = _network(recipe, data)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=options.learning_rate, fused=True
        )
        self.history: list[Epoch] = []

    def epoch(self, number: int) -> Epoch:
        """Trains on every image once; a last partial batch is left out."""
        options = self.recipe.training
        images, labels = self.used
        draws = _draws(self.recipe, _EPOCH, number)
        batches = torch.randperm(len(images), generator=draws).split(options.batch)
        steps = len(images) // options.batch
        self.model.train()
        loss, correct = 0.0, 0
        for index, batch in enumerate(batches[:steps]):
            self.optimizer.param_groups[0]["lr"] = _rate(options, number + index / steps)
            inputs = distort(images.index_select(0, batch).float(), self.recipe.augmentation, draws)
            step = number * steps + index
            with self._erring(step):
                inputs = inputs.reshape(-1, *self.shape)
                step_loss, step_correct = self._step(inputs, labels[batch], step)
            loss, correct = loss + step_loss / steps, correct + step_correct
        accuracy = correct / (steps * options.batch)
        return Epoch(number + 1, loss, accuracy, self._validate())

    @contextmanager
    def _erring(self, step: int) -> Iterator[None]:
        """Gives the layers the errors of one step, if the recipe asks for some.

        They are those of an error map with the seed :func:`error_seed` for the network of the
        step's weights; its nodes are numbered as those of the exported graph.
        """
        options = self.recipe.errors
        layers = weighted_nodes(self.model)
        for node, layer in layers:
            if options is not None:
                seed, stored = error_seed(self.recipe, step), layer.stored().numpy()
                drawn = at_mean_rate(stored, options.persistent, seed, node, ternary=layer.ternary)
                layer.errors = LayerErrors(*drawn)
        try:
            yield
        finally:
            for _, layer in layers:
                layer.errors = None

    def _logits(self, images: Tensor, *stream: int) -> Tensor:
        """Logits (batch, classes) of pixels (batch, *shape). The recipe may show them by random
        bits, which ``stream`` decides."""
        if self.showing is None:
            return self.model(images)
        seed = mix(self.recipe.seed, *stream)
        return self.showing.mean(self.model(self.showing.rows(images, seed)))

    def _step(self, images: Tensor, labels: Tensor, step: int) -> tuple[float, int]:
        """One step of the optimizer: the batch's mean loss and how many it got right before."""
        options = self.recipe.training
        self.optimizer.zero_grad()
        logits = self._logits(images, _SHOWN, step)
        loss = functional.cross_entropy(logits, labels, label_smoothing=options.label_smoothing)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for _, layer in weighted_nodes(self.model):
                layer.latent.clamp_(-options.latent_limit, options.latent_limit)
        return loss.item(), int((logits.argmax(dim=1) == labels).sum())

    def _validate(self) -> float | None:
        images, labels = self.held
        if not len(images):
            return None
        self.model.eval()
        with torch.no_grad():
            found = self._logits(images.reshape(-1, *self.shape), _HELD).argmax(dim=1)
        return float((found == labels).float().mean())

    def export(self) -> Graph:
        """The graph of the network as it is now."""
        images, name = self.used[0].reshape(-1, *self.shape), self.recipe.name
        if self.planes is None:
            return export(self.model, name, self.shape)
        return presented(self.model, name, self.planes, images[:STATISTICS])

    def state(self) -> dict:
        """All that a later run needs to continue."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
        }

    def restore(self, state: dict) -> None:
        """The inverse of :meth:`state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]


def _prepared(recipe: Recipe, data: Dataset) -> Dataset:
    """The images as the recipe shows them."""
    return data if recipe.input.threshold is None else data.binarized(recipe.input.threshold)


def _network(recipe: Recipe, data: Dataset) -> nn.Sequential:
    """The untrained network; the global random state is left as it was."""
    pixels = Pixels(data.bits, recipe.input.low, recipe.input.high)
    shape, ternary = _shape(recipe, data), recipe.weights == "ternary"
    options = {"ternary": ternary, "init": recipe.training.latent_init}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_draws(recipe, _INIT).initial_seed())
        if len(shape) == 1:
            return mlp(*shape, recipe.hidden, data.classes, pixels, **options)
        try:
            form = recipe.convolutions, recipe.hidden, data.classes
            return convnet(shape, *form, pixels, **options)
        except ValueError as error:
            raise RecipeError(str(error)) from None


def _shape(recipe: Recipe, data: Dataset) -> tuple[int] | tuple[int, int, int]:
    """Of an image, as the network takes it: flat, or channels, rows and columns."""
    if not recipe.convolutions:
        return (math.prod(data.shape),)
    *channels, rows, columns = data.shape
    return math.prod(channels), rows, columns


def _draws(recipe: Recipe, *stream: int) -> torch.Generator:
    """A generator of its own for each purpose and epoch."""
    return torch.Generator().manual_seed(mix(recipe.seed, *stream) >> 1)


def error_seed(recipe: Recipe, step: int) -> int:
    """The seed of the errors in the ``step``-th mini-batch of a training run."""
    return mix(recipe.seed, _ERRORS, step)


def _with_errors(recipe: Recipe, graph: Graph, data: Dataset) -> Iterator[float]:
    """Accuracies on the test images with the recipe's errors, map by map."""
    if recipe.errors is None:
        return
    network = Interpreter(graph)
    shown = network.shown(data.test_images.reshape(-1, *graph.input.shape))
    for number in range(recipe.errors.maps):
        seed, rate = mix(recipe.seed, _MAPS, number), recipe.errors.persistent
        errors = ErrorMap.draw(graph, seed, persistent=rate)
        found = labels(network.with_errors(errors).scores(shown))
        yield float((found == data.test_labels).mean())


def _rate(options: Optimization, epoch: float) -> float:
    """The learning rate after ``epoch`` epochs, fractions included."""
    if epoch < options.warmup:
        return options.learning_rate * epoch / options.warmup
    if options.schedule == "constant":
        return options.learning_rate
    done = (epoch - options.warmup) / max(options.epochs - options.warmup, 1e-9)
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _correct(graph: Graph, data: Dataset) -> tuple[int, ...]:
    """How many test images the graph gets right, with each number of presentations."""
    planes = graph.input.planes
    counts = planes.presentations if isinstance(planes, Stochastic) else (None,)
    network = Interpreter(graph)
    images = data.test_images.reshape(-1, *graph.input.shape)
    found = (labels(network.scores(images, presentations=count)) for count in counts)
    return tuple(int((each == data.test_labels).sum()) for each in found)


@contextmanager
def _reporting(
    recipe: Recipe, progress: Callable[[Epoch], None] | None
) -> Iterator[Callable[[Epoch], None]]:
    """``progress``, or a bar on a terminal; rich itself honours NO_COLOR."""
    console = Console(stderr=True)
    if progress is not None or not console.is_terminal:
        yield progress or (lambda epoch: None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(f"train {recipe.name}", total=recipe.training.epochs)

        def show(epoch: Epoch) -> None:
            text = f"train {recipe.name}: epoch {epoch.number}, accuracy {epoch.accuracy:.4f}"
            bars.update(task, completed=epoch.number, description=text)

        yield show
