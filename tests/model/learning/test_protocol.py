# SPDX-License-Identifier: BSD-2-Clause
"""Sequences of tasks: the same bits whether interrupted or not, and what a test of each sees."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from twincell.model.checkpoint import CheckpointError
from twincell.model.data import Dataset
from twincell.model.layers import Pixels, mlp
from twincell.model.learning import protocol as protocol_module
from twincell.model.learning.consolidation import ElasticWeights, SynapticIntelligence
from twincell.model.learning.devices.weak_reset import WeakReset
from twincell.model.learning.networks import give_memories, memories, normed_mlp, real_mlp
from twincell.model.learning.optimizers import PulseAdam, metaplastic
from twincell.model.learning.protocol import Epoch, History, Protocol, accuracy, learn
from twincell.model.learning.tasks import by_classes, permuted, stream, task


@pytest.fixture(scope="module")
def bars() -> Dataset:
    """16 pixels in which one of four places is bright, in 4-bit noise."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 4, 300).astype(np.uint8)
    images = rng.integers(0, 8, (300, 4, 4)).astype(np.uint8)
    images[np.arange(300), labels] += np.uint8(7)
    return Dataset("bars", images[:200], labels[:200], images[200:], labels[200:], 4, 4, "made")


def _network(seed: int = 3) -> nn.Sequential:
    return normed_mlp((16, 24, 4), Pixels(4), seed)


def _dropping() -> nn.Sequential:
    """It draws numbers of its own."""
    first, *others = _network()
    return nn.Sequential(first, nn.Dropout(0.3), *others)


def _pulses(network):
    return PulseAdam(network, WeakReset(), 5, lr=6.0)


def _meta(network):
    return metaplastic(network, 2.0, decay=1e-7)


RUNS = {
    "devices": (_pulses, Protocol(3, 25, seed=1, halve_every=2), None),
    "metaplastic stream": (_meta, Protocol(3, 25, fresh_optimizer=False, task_norm=False), None),
    "elastic": (_meta, Protocol(3, 25), lambda: ElasticWeights(50.0, 40, shuffled=True)),
    "intelligence": (_meta, Protocol(3, 25), lambda: SynapticIntelligence(0.1)),
    "dropout": (_meta, Protocol(3, 25), None),
}


def _run(name, data, directory=None, progress=None):
    optimizer, protocol, consolidation = RUNS[name]
    network = _dropping() if name == "dropout" else _network()
    history = learn(
        network, optimizer, permuted(data, 2, 1), protocol, directory=directory,
        consolidation=consolidation and consolidation(), progress=progress,
    )  # fmt: skip
    return network, history


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_equals_an_uninterrupted_one(name, bars, tmp_path):
    before = torch.random.get_rng_state()
    whole, expected = _run(name, bars)
    assert torch.equal(torch.random.get_rng_state(), before)
    seen: list[Epoch] = []

    def stop(epoch):
        seen.append(epoch)
        if len(seen) in (2, 3, 5):
            raise KeyboardInterrupt

    for _ in range(3):
        torch.rand(3)  # the global random state plays no part
        with pytest.raises(KeyboardInterrupt):
            _run(name, bars, tmp_path, stop)
    part, history = _run(name, bars, tmp_path, stop)
    assert history == expected and len(seen) == 6
    states = whole.state_dict(), part.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_checkpoints_are_as_far_apart_as_asked(bars, tmp_path, monkeypatch):
    saved, save = [], protocol_module.save_checkpoint

    def count(path, run, state):
        saved.append(len(state["history"]))
        save(path, run, state)

    monkeypatch.setattr(protocol_module, "save_checkpoint", count)
    tasks, protocol = permuted(bars, 2, 1), Protocol(4, 25)
    seldom = {"directory": tmp_path, "checkpoint_every": 3}
    expected = learn(_network(), _meta, tasks, protocol)

    def stop(epoch):
        if (epoch.task, epoch.number) == (1, 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(_network(), _meta, tasks, protocol, progress=stop, **seldom)
    assert saved == [3]
    assert learn(_network(), _meta, tasks, protocol, **seldom) == expected
    assert saved == [3, 6, 8]  # goes on after the third epoch, and the end is kept
    with pytest.raises(ValueError, match=r"^checkpoint_every must be at least 1, not 0$"):
        learn(_network(), _meta, tasks, protocol, checkpoint_every=0)


def test_a_checkpoint_of_another_run_is_refused(bars, tmp_path):
    tasks, protocol = permuted(bars, 1, 0), Protocol(1, 25)
    learn(_network(), _meta, tasks, protocol, directory=tmp_path)

    def refused(what, *arguments, **options):
        with pytest.raises(CheckpointError, match=f"is of another {what}. Delete it"):
            learn(*arguments, directory=tmp_path, **options)

    refused("optimizer", _network(), lambda n: metaplastic(n, 3.0, decay=1e-7), tasks, protocol)
    refused("protocol", _network(), _meta, tasks, Protocol(2, 25))
    refused("tasks", _network(), _meta, permuted(bars, 2, 0), protocol)
    refused("network", normed_mlp((16, 25, 4), Pixels(4), 3), _meta, tasks, protocol)
    refused("network", _network(4), _meta, tasks, protocol)  # other initial weights
    refused("consolidation", _network(), _meta, tasks, protocol, consolidation=ElasticWeights())
    refused("identity", _network(), _meta, tasks, protocol, identity="again")
    network = _network()
    elastic = tmp_path / "elastic"
    one, other = ElasticWeights(1.0, 9), ElasticWeights(2.0, 9)
    learn(_network(), _meta, tasks, protocol, directory=elastic, consolidation=one)
    with pytest.raises(CheckpointError, match=r"is of another consolidation\. Delete it"):
        learn(_network(), _meta, tasks, protocol, directory=elastic, consolidation=other)
    refused("network and optimizer", network, _pulses, tasks, protocol)


def test_an_interrupted_run_goes_on_with_the_consolidation_it_had(bars, tmp_path):
    """Which has seen a task meanwhile: that is its state, and not which one it is."""
    tasks, protocol = permuted(bars, 2, 0), Protocol(1, 25)
    expected = learn(_network(), _meta, tasks, protocol, consolidation=ElasticWeights(50.0, 40))
    elastic = ElasticWeights(50.0, 40)

    def stop(epoch):
        raise KeyboardInterrupt

    for _ in tasks:
        with pytest.raises(KeyboardInterrupt):
            learn(_network(), _meta, tasks, protocol, directory=tmp_path, consolidation=elastic,
                  progress=stop)  # fmt: skip
    found = learn(_network(), _meta, tasks, protocol, directory=tmp_path, consolidation=elastic)
    assert found == expected


def test_what_cannot_be_consolidated_is_refused_before_the_first_epoch(bars):
    still = normed_mlp((16, 24, 4), Pixels(4), 3, running=False)
    real = real_mlp((16, 24, 4), Pixels(4), 3)
    for network, consolidation, message in (
        (still, ElasticWeights(), "The Fisher information of single images needs running"),
        (real, ElasticWeights(), "The network has no binary layers"),
        (real, SynapticIntelligence(1), "The network has no binary layers"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            learn(network, _meta, [task(bars)], Protocol(1, 25), consolidation=consolidation,
                  progress=lambda epoch: pytest.fail("an epoch was trained"))  # fmt: skip


@pytest.mark.parametrize(
    "make", [lambda: ElasticWeights(50.0, 40), lambda: SynapticIntelligence(1)]
)
def test_a_consolidation_begins_anew_with_each_run(bars, make):
    used, found = make(), []
    for consolidation in (used, used, make()):
        network = _network()
        learn(network, _meta, permuted(bars, 2, 1), Protocol(2, 25), consolidation=consolidation)
        found.append(torch.cat([each.flatten() for each in network.parameters()]))
    assert torch.equal(found[0], found[1]) and torch.equal(found[1], found[2])


def test_devices_keep_their_start_in_the_next_task(bars):
    network = _network()
    learn(
        network,
        lambda net: PulseAdam(net, WeakReset(), 5, start=20, lr=6.0),
        permuted(bars, 2, 1),
        Protocol(1, 25),
    )
    give_memories(fresh := _network(), WeakReset(), 5, start=20)
    starts = [float(memory.start_pulses) for memory in memories(fresh).values()]
    assert starts == [float(memory.start_pulses) for memory in memories(network).values()]


def test_the_norms_of_a_task_are_no_devices(bars):
    """A score head has both; the devices are the network's, whatever task is tested."""
    network = mlp(16, (24,), 4, Pixels(4))
    give_memories(network, WeakReset(), 5, start=20)
    names = {name.partition(".")[2] for name in protocol_module._norm_state(network)}
    statistics = {"running_mean", "running_var", "num_batches_tracked"}
    assert names == {"weight", "bias", *statistics, "offset", "log_scale"}


def test_each_task_is_tested_with_its_own_norm(bars):
    tasks, norms = permuted(bars, 2, 1), {}
    for own in (True, False):
        network = _network()
        history = learn(network, _meta, tasks, Protocol(4, 25, task_norm=own))
        norms[own] = history
        first, second = tasks
        latest = accuracy(network, first.test_images, first.test_labels)
        assert history.final()[1] == accuracy(network, second.test_images, second.test_labels)
        assert (history.final()[0] == latest) != own
    assert [e.loss for e in norms[True].epochs] == [e.loss for e in norms[False].epochs]


def test_pieces_of_a_stream_are_tested_once(bars, monkeypatch):
    tested = []

    def count(network, images, labels):
        tested.append(images)
        return accuracy(network, images, labels)

    monkeypatch.setattr(protocol_module, "accuracy", count)
    once = Protocol(2, 25, fresh_optimizer=False, task_norm=False)
    history = learn(_network(), _meta, stream(bars, 3, 1), once)
    assert len(tested) == 6
    assert [len(set(epoch.accuracies)) for epoch in history.epochs] == [1] * 6
    assert [len(epoch.accuracies) for epoch in history.epochs] == [1, 1, 2, 2, 3, 3]
    tested.clear()
    each = learn(_network(), _meta, stream(bars, 3, 1), Protocol(2, 25))
    assert len(tested) == 2 * (1 + 2 + 3)  # with batch-norms of their own they differ
    assert len(set(each.final())) > 1


def test_tasks_are_tested_as_often_as_asked(bars):
    tasks = permuted(bars, 2, 1)
    always, seldom = (
        learn(_network(), _meta, tasks, Protocol(5, 25, test_every=every)) for every in (1, 2)
    )
    expected = [epoch.accuracies if epoch.number in (2, 4, 5) else () for epoch in always.epochs]
    assert [epoch.accuracies for epoch in seldom.epochs] == expected
    assert seldom.matrix() == always.matrix()


def test_rates_of_weights_halve_and_each_task_has_its_optimizer(bars):
    rates, made = [], []

    def optimizer(network):
        made.append(_pulses(network))
        return made[-1]

    def record(epoch):
        rates.append([group["lr"] for group in made[-1].param_groups])

    protocol = Protocol(5, 50, halve_every=2)
    learn(_network(), optimizer, permuted(bars, 2, 1), protocol, progress=record)
    assert [rate for rate, _ in rates] == [6, 6, 3, 3, 1.5] * 2
    assert {rate for _, rate in rates} == {8e-3}
    assert len(made) == 2  # one for each task
    protocol = Protocol(5, 50, fresh_optimizer=False)
    learn(_network(), optimizer, stream(bars, 2, 1), protocol)
    assert len(made) == 3  # one for a whole stream


def test_what_a_history_says():
    epochs = [Epoch(0, 1, 1.0, (0.5,)), Epoch(0, 2, 0.5, (0.9,)), Epoch(1, 1, 1.0, (0.8, 0.6)),
              Epoch(1, 2, 1.0, (0.7, 0.8))]  # fmt: skip
    history = History(tuple(epochs))
    assert history.matrix() == [[0.9], [0.7, 0.8]]
    assert history.final() == [0.7, 0.8]
    assert history.forgotten() == [pytest.approx(0.2)]
    assert json.loads(json.dumps(history.record()))["matrix"] == history.matrix()


def test_permuted_tasks(bars):
    one, two, three = permuted(bars, 3, 4)
    assert torch.equal(one.train_images, task(bars).train_images)
    assert torch.equal(one.test_labels, two.test_labels)
    assert not torch.equal(two.train_images, three.train_images)
    for own in (two, three):  # one order of the pixels, for training and test
        order = [(one.train_images == column[:, None]).all(dim=0).nonzero().item()
                 for column in own.train_images.T]  # fmt: skip
        assert sorted(order) == list(range(16))
        assert torch.equal(own.test_images, one.test_images[:, order])
    assert permuted(bars, 2, 4)[1].digest() == two.digest() != permuted(bars, 2, 5)[1].digest()
    with pytest.raises(ValueError, match=r"^count must be at least 1, not 0$"):
        permuted(bars, 0, 1)


def test_tasks_of_classes(bars):
    one, two = by_classes(bars, [(0, 3), (1,)])
    assert set(one.train_labels.tolist()) == set(one.test_labels.tolist()) == {0, 3}
    assert set(two.train_labels.tolist()) == {1}
    assert len(one.train_images) == np.isin(bars.train_labels, (0, 3)).sum()
    for groups in ([(0,), (0, 1)], [(4,)]):
        with pytest.raises(ValueError, match=r"^groups must hold classes 0 to 3 once, not \["):
            by_classes(bars, groups)


def test_a_stream_shows_each_image_once(bars):
    parts = stream(bars, 7, 1)
    assert [len(part.train_images) for part in parts] == [28] * 7
    shown = torch.cat([part.train_images for part in parts]).tolist()
    assert len({tuple(image) for image in shown}) == 7 * 28
    assert all(torch.equal(part.test_images, parts[0].test_images) for part in parts)
    with pytest.raises(ValueError, match=r"^pieces must be from 1 to 200, not 201$"):
        stream(bars, 201, 1)


def test_protocols_that_make_no_sense_are_refused(bars):
    with pytest.raises(ValueError, match=r"^epochs must be an integer from 1, not 0$"):
        Protocol(0)
    with pytest.raises(ValueError, match=r"^batch must be an integer from 2, not 1$"):
        Protocol(1, 1)
    with pytest.raises(ValueError, match=r"^bars: 200 images are fewer than a batch's 201$"):
        learn(_network(), _meta, [task(bars)], Protocol(1, 201))
