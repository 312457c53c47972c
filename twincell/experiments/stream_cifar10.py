# SPDX-License-Identifier: BSD-2-Clause
"""CIFAR-10 in pieces, each seen for a while and never again.

After Laborieux et al., "Synaptic metaplasticity in binarized neural networks", Nature
Communications 12:2549 (2021), stream learning.
"""

from dataclasses import replace

from . import stream
from ._learning import Training
from ._report import Job, Report

SUMMARY = "CIFAR-10 (JPEG q75) in 20 pieces, with and without metaplasticity"
FULL = replace(
    stream.FULL, label="CIFAR-10 (JPEG q75)", data="cifar-10-jpeg", hidden=(512, 512), pieces=20
)
DATA = (FULL.data,)
QUICK = replace(stream.QUICK, pieces=3)


def run(job: Job) -> Report:
    """Trains every case with every seed; continues an earlier run."""
    return stream.compare(job, __name__, QUICK if job.quick else FULL, _SCALED)


def trained(training: Training, progress) -> dict:
    """One stream, or the whole set."""
    return stream.train(training, QUICK if training.quick else FULL, progress)


_SCALED = (
    "**Scaled down: a fully connected network with two hidden layers of 512 neurons, and 20 epochs "
    "a piece, where the published network has six convolutions and three more layers, and 200 "
    "epochs; rate and strength of metaplasticity are those of the stream of Fashion-MNIST. The "
    "images are those of CIFAR-10 after JPEG compression of quality 75, without augmentation. A "
    "score head stands in place of the last batch-norm.**"
)
