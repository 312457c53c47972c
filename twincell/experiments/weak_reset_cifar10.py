# SPDX-License-Identifier: BSD-2-Clause
"""Training by weak RESET pulses on CIFAR-10: which group of imperfections costs most.

After "Model of the Weak Reset Process in HfOx Resistive Memory for Deep Learning Frameworks", IEEE
Transactions on Electron Devices (2021, arXiv 2107.06064).
"""

from dataclasses import replace

from . import weak_reset
from ._imperfections import WITHOUT
from ._learning import Training
from ._report import Job, Report

SUMMARY = "Training by weak RESET pulses on CIFAR-10 (JPEG q75): each group removed"
BY_PULSES = True  # so it takes `--cost`, what one costs, and `--device`, another device
FULL = replace(
    weak_reset.FULL,
    label="CIFAR-10 (JPEG q75)",
    data="cifar-10-jpeg",
    hidden=(512,),
    rates=(1.0, 2.0, 4.0, 8.0, 16.0),
    kinds=(WITHOUT,),
    grouped=True,
)
DATA = (FULL.data,)
QUICK = replace(weak_reset.QUICK, kinds=FULL.kinds, grouped=FULL.grouped)


def run(job: Job) -> Report:
    """Tunes the rate, then trains every device with every seed; continues an earlier run."""
    return weak_reset.compare(job, __name__, QUICK if job.quick else FULL, _SCALED)


def trained(training: Training, progress) -> dict:
    """One device, at one rate."""
    return weak_reset.train(training, QUICK if training.quick else FULL, progress)


_SCALED = (
    "**Scaled down: a fully connected network with one hidden layer of 512 neurons, and 20 epochs, "
    "where the published network has six convolutions and three more layers, and 700 epochs. The "
    "images are those of CIFAR-10 after JPEG compression of quality 75, without augmentation. A "
    "score head stands in place of the last batch-norm.**"
)
