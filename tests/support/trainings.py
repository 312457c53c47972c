# SPDX-License-Identifier: BSD-2-Clause
"""An experiment about learning for the tests of how trainings are run: it notes that it ran."""

from twincell.experiments._learning import Training


def trained(training: Training, progress) -> dict:
    """Fails where a file ``fail`` says so; leaves a mark for each time it has run."""
    training.folder.mkdir(parents=True, exist_ok=True)
    with (training.folder / "ran").open("a") as marks:
        marks.write("x")
    for _ in range(3):
        progress(0)
    if (training.folder.parent / f"fail-{training.case}").exists():
        raise RuntimeError(f"{training.case} fails")
    return {"case": training.case, "seed": training.seed}
