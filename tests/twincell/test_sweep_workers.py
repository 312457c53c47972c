# SPDX-License-Identifier: BSD-2-Clause
"""What a task raises, in a worker process or on a cluster, ends the sweep with a sentence."""

from types import SimpleNamespace

import pytest

from twincell.networks import UsageError
from twincell.sweeps import workers
from twincell.sweeps.workers import _Worker


@pytest.mark.parametrize(
    ("error", "remedy"),
    [(MemoryError("4 GiB"), "take fewer images, or fewer --workers"), (KeyError(3), "-vv sweep` ")],
)
def test_a_task_that_raises(error, remedy):
    worker = object.__new__(_Worker)
    worker.connection = SimpleNamespace(recv=lambda: error)
    with pytest.raises(UsageError, match=r"^A worker failed: ") as caught:
        worker.take()
    assert repr(error) in str(caught.value) and remedy in str(caught.value)


def test_a_task_that_fails_on_a_cluster(monkeypatch):
    distributed = pytest.importorskip("distributed")

    def failing(task, job):
        raise ValueError(f"not {task}")

    monkeypatch.setattr(workers, "run_cached", failing)
    monkeypatch.setattr(workers, "ATTEMPTS", 1)
    options = {"n_workers": 1, "processes": False, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(**options) as cluster,
        pytest.raises(UsageError, match=r"^A task of the cluster failed: ValueError\('not 1'\); "),
    ):
        list(workers.cluster(SimpleNamespace(key="none"), [1], cluster.scheduler_address))
