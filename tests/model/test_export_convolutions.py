# SPDX-License-Identifier: BSD-2-Clause
"""Convolutions of torch as graphs: every score of both."""

import numpy as np
import pytest
import torch
from torch import nn

from twincell.model import integer
from twincell.model.export import ExportError, differences, export, weighted_nodes
from twincell.model.layers import BinaryConv, BinaryLinear, Pixels, ScoreHead, Sign
from twincell.model.nodes import Conv, Fill, MaxPool


def _norm(kind, features: int, seed: int) -> nn.Module:
    """Batch-norm with scales of both signs, and the statistics of the last batch."""
    norm, draws = kind(features, momentum=1.0), np.random.default_rng(seed)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(draws.normal(0, 1, features)))
        norm.bias.copy_(torch.tensor(draws.normal(0, 0.3, features)))
    return norm


def _settled(network: nn.Sequential, shape: tuple[int, ...]) -> nn.Sequential:
    """With the statistics of random images, so that neurons are undecided; in eval mode."""
    network.train()(torch.randint(0, 1 << network[0].bits, (100, *shape)))
    return network.eval()


def _network(fill: Fill, ternary: bool, pixels: Pixels, seed: int) -> nn.Sequential:
    """Pooling before batch-norm, behind the sign, and none."""
    torch.manual_seed(seed)
    form = {"padding": (1, 1), "fill": fill, "ternary": ternary}
    network = nn.Sequential(
        pixels,
        BinaryConv(2, 6, (3, 3), **form), nn.MaxPool2d(2), _norm(nn.BatchNorm2d, 6, seed), Sign(),
        BinaryConv(6, 5, (3, 2), stride=(1, 2), **form), _norm(nn.BatchNorm2d, 5, seed + 1), Sign(),
        nn.MaxPool2d((2, 1), stride=(1, 1)),
        nn.Flatten(),
        BinaryLinear(45, 12, ternary=ternary), _norm(nn.BatchNorm1d, 12, seed + 2), Sign(),
        ScoreHead(12, 4, ternary=ternary),
    )  # fmt: skip
    return _settled(network, (2, 8, 8))


@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("bits", [1, 3])
def test_every_score_is_that_of_torch(fill, ternary, bits):
    for seed in range(4):
        network = _network(fill, ternary, Pixels(bits), seed)
        graph = export(network, "net", (2, 8, 8))
        images = torch.randint(0, 1 << bits, (60, 2, 8, 8))
        found = differences(network, graph, images)
        assert (found.images, found.scores) == (60, 0)
        weighted = [k for k, node in enumerate(graph.nodes) if hasattr(node, "weights")]
        assert [index for index, _ in weighted_nodes(network)] == weighted
        pools = [node for node in graph.nodes if isinstance(node, MaxPool)]
        assert 0 < pools[0].conjunction.sum() < 6 and not pools[1].conjunction.any()
        assert len(set(map(tuple, integer.scores(graph, images.numpy()).tolist()))) > 5


def test_one_axis_and_any_range_of_pixels():
    """Taps that are absent read the number 0, wherever it lies between low and high."""
    torch.manual_seed(1)
    network = nn.Sequential(
        Pixels(4, -0.5, 2.5),
        BinaryConv(3, 8, (5,), stride=(2,), padding=(2,)), _norm(nn.BatchNorm1d, 8, 1), Sign(),
        nn.MaxPool1d(2), nn.Flatten(), ScoreHead(24, 3),
    )  # fmt: skip
    graph = export(_settled(network, (3, 12)), "net", (3, 12))
    images = torch.randint(0, 16, (200, 3, 12))
    assert differences(network, graph, images).scores == 0
    assert graph.nodes[1].thresholds.shape == (1, 3, 8)  # both borders and the middle


def test_gradients_reach_all_weights():
    network = _network(Fill.ABSENT, False, Pixels(2), 0).train()
    network(torch.randint(0, 4, (20, 2, 8, 8))).square().sum().backward()
    latents = [m.latent for m in network if isinstance(m, BinaryConv | BinaryLinear)]
    assert len(latents) == 4 and all(each.grad.abs().sum() > 0 for each in latents)


CONV, NORM = BinaryConv(1, 2, (3, 3)), nn.BatchNorm2d(2)
EDGE = {"padding": (1, 1), "fill": Fill.MINUS}


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([CONV, NORM], "Behind a convolution over 2 axes come BatchNorm2d and Sign, .* not Batch"),
        ([CONV, nn.BatchNorm1d(2), Sign()], "come BatchNorm2d and Sign, .* not BatchNorm1d, Sign"),
        ([CONV], "come BatchNorm2d and Sign, with max-pooling before them if any, not nothing"),
        ([CONV, nn.MaxPool2d(2, padding=1), NORM, Sign()], "which none has here"),
        ([CONV, nn.MaxPool2d(2, ceil_mode=True), NORM, Sign()], "which none has here"),
        ([BinaryConv(1, 2, (3,)), nn.BatchNorm1d(2), Sign()],
         r"A convolution over 1 axes meets values of shape \(1, 5, 5\)"),
        ([BinaryConv(1, 2, (3, 3), **EDGE), NORM, Sign()],
         "Taps that read -1 need pixels of low = -1, not 0"),
        ([CONV, nn.BatchNorm2d(3), Sign()], "Batch-norm of 3 features follows 2 neurons"),
    ],
)  # fmt: skip
def test_what_has_no_graph_is_refused(modules, message):
    with pytest.raises(ExportError, match=message):
        export(nn.Sequential(Pixels(3, 0, 2), *modules).eval(), "net", (1, 5, 5))


def test_the_node_has_the_form_of_the_module():
    network = nn.Sequential(
        Pixels(1), BinaryConv(1, 2, (3, 2), stride=(2, 1), padding=(1, 0)), NORM, Sign(),
        nn.Flatten(), ScoreHead(24, 2),
    ).eval()  # fmt: skip
    node = export(network, "net", (1, 5, 5)).nodes[1]
    assert isinstance(node, Conv)
    assert (node.kernel, node.stride, node.padding) == ((3, 2), (2, 1), (1, 0))
    assert node.fill is Fill.ABSENT
