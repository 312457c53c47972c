# SPDX-License-Identifier: BSD-2-Clause
"""The native runner: equal scores, exact cycles, and every planted bug found."""

import time
from itertools import pairwise

import numpy as np
import pytest

from tests.support import builds
from tests.support.builds import build
from twincell.hw import tools
from twincell.sim import native, player, toolchain, verilated
from twincell.sim.native import slices
from twincell.sim.ports import PortsError, read
from twincell.sim.results import SWEEP, BuildError, Hang, Pauses, SimulationError

HEAVY = Pauses(source=0.2, sink=0.9)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("native") / "build", images=300)


@pytest.mark.parametrize("index", [-1, 300])
def test_a_waveform_of_no_image_is_refused(built, tmp_path, index):
    message = f"^There are 300 images, from 0 on; there is no image {index}$"
    with pytest.raises(ValueError, match=message):
        native.trace(built.directory, built.images, index, tmp_path / "wave.vcd")
    assert not (tmp_path / "wave.vcd").exists()


@pytest.mark.parametrize("pauses", SWEEP, ids=str)
def test_every_score_under_pauses(built, pauses):
    result = native.run(built.directory, built.images, pauses=pauses, seed=5)
    np.testing.assert_array_equal(result.scores, built.scores)
    np.testing.assert_array_equal(result.labels, built.scores.argmax(axis=1))
    assert not result.mismatches(built.scores).any()
    assert result.cycles > 0 and result.seconds > 0 and result.clock_cycles_per_second > 0
    if pauses == Pauses():
        assert result.steady_cycles_per_image == built.tally.input_beats
    else:
        assert result.steady_cycles_per_image >= built.tally.input_beats


def test_results_do_not_depend_on_the_workers(built):
    one = native.run(built.directory, built.images, pauses=HEAVY, seed=1, workers=1)
    many = native.run(built.directory, built.images, pauses=HEAVY, seed=1, workers=5)
    other = native.run(built.directory, built.images, pauses=HEAVY, seed=2, workers=5)
    np.testing.assert_array_equal(one.finished, many.finished)
    np.testing.assert_array_equal(one.scores, many.scores)
    assert (one.cycles, one.slices) == (many.cycles, many.slices)
    assert (one.finished != other.finished).any()


@pytest.mark.parametrize("images", [1, 2, 31, 32, 63, 64, 100, 2048, 10_000])
def test_slices_cover_all_images(images):
    found = slices(images)
    assert found[0][0] == 0 and found[-1][1] == images
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert all(min(images, 32) <= stop - start for start, stop in found)
    assert len(found) <= 64


@pytest.mark.parametrize("images", [1, 2, 3, 9])
def test_few_images(built, images):
    result = native.run(built.directory, built.images[:images])
    np.testing.assert_array_equal(result.scores, built.scores[:images])
    expected = None if images == 1 else built.tally.input_beats
    assert result.steady_cycles_per_image == expected


def test_no_images(built):
    with pytest.raises(ValueError, match=r"^There are no images to simulate$"):
        native.run(built.directory, built.images[:0])


def test_progress_ends_with_all(built):
    seen = []
    native.run(built.directory, built.images, progress=lambda *now: seen.append(now))
    assert seen[-1] == (300, 300)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_other_weights_need_no_compilation(tmp_path, built, monkeypatch):
    """Memory files are read at run time; only another Verilog text is another player."""
    other = build(tmp_path / "build", images=40, seed=9)
    assert other.directory.joinpath("tally-net.v").read_bytes() == (
        built.directory.joinpath("tally-net.v").read_bytes()
    )
    expected = player.compile_player(built.directory, short=True).binary
    monkeypatch.setattr(verilated.Program, "_compile", None)
    assert player.compile_player(other.directory, short=True).binary == expected
    result = native.run(other.directory, other.images)
    np.testing.assert_array_equal(result.scores, other.scores)


def test_a_fresh_cache_holds_whole_players_only(tmp_path, built, monkeypatch):
    monkeypatch.setattr(tools, "cache_directory", lambda: tmp_path)
    made = player.compile_player(built.directory, short=True)
    assert made.binary.is_relative_to(tmp_path) and made.seconds > 0.1
    assert [path.name for path in (tmp_path / "native").iterdir()] == [made.binary.parent.name]
    assert player.compile_player(built.directory, short=True).seconds < made.seconds


def test_no_compiler_output_is_no_player(tmp_path, built, monkeypatch):
    monkeypatch.setattr(tools, "cache_directory", lambda: tmp_path / "cache")
    broken = built.broken(tmp_path / "build", "endmodule", "endmodul")
    with pytest.raises(BuildError) as caught:
        native.run(broken, built.images)
    assert str(caught.value).startswith(f"{broken / 'tally-net.v'} does not compile:\n")
    assert "syntax error" in str(caught.value)
    assert list((tmp_path / "cache" / "native").iterdir()) == []


@pytest.mark.parametrize("bug", ["WRONG_SUM", "WRONG_LABEL"])
def test_wrong_answers_are_seen(tmp_path, built, bug):
    broken = built.broken(tmp_path / "build", *getattr(builds, bug))
    result = native.run(broken, built.images)
    assert result.mismatches(built.scores).any()
    assert (result.scores != built.scores).any() == (bug == "WRONG_SUM")


def test_a_wrong_weight_is_seen(tmp_path, built):
    broken = built.broken(tmp_path / "build", "tally_net", "tally_net")
    memory = broken / "tally-net.signs.mem"
    text = memory.read_text()
    memory.write_text(("1" if text[0] == "0" else "0") + text[1:])
    wrong = native.run(broken, built.images).mismatches(built.scores)
    assert wrong[:, 4].any() and not wrong[0].any()  # the first image is black


def test_a_dropped_ready_is_seen(tmp_path, built):
    broken = built.broken(tmp_path / "build", *builds.DROPPED_O_READY)
    assert not native.run(broken, built.images).mismatches(built.scores).any()
    with pytest.raises(SimulationError, match=r"^Stream o changed while it waited, cycle \d+ \(im"):
        native.run(broken, built.images, pauses=SWEEP[2])


def test_a_falling_valid_is_seen(tmp_path, built):
    broken = built.broken(tmp_path / "build", *builds.FALLING_VALID)
    with pytest.raises(SimulationError, match=r"^Stream o changed while it waited, cycle \d+ \(im"):
        native.run(broken, built.images, pauses=SWEEP[2])


def test_a_dropped_valid_is_seen(tmp_path, built):
    """Between beats the payload is noise, so a top that takes it anyway goes wrong."""
    broken = built.broken(tmp_path / "build", *builds.DROPPED_I_VALID)
    with pytest.raises(SimulationError, match=r"^Beats were lost or invented: .* seed 0\)$"):
        native.run(broken, built.images, pauses=SWEEP[1])


def test_a_hang_is_reported(tmp_path, built):
    broken = built.broken(tmp_path / "build", *builds.DEAF)
    expected = (
        r"^The hardware hangs: nothing moved for 500 cycles up to cycle 500; "
        r"0 of \d+ beats in, 0 of \d+ out \(images \d+ to \d+, source 0, sink 0, seed 0\)$"
    )
    with pytest.raises(Hang, match=expected):
        native.run(broken, built.images, hang_after=500)


def test_an_interrupt_ends_the_children(tmp_path, built, monkeypatch):
    broken = built.broken(tmp_path / "build", *builds.DEAF)
    children, popen = [], native.subprocess.Popen

    def started(*args, **kwargs):
        children.append(popen(*args, **kwargs))
        return children[-1]

    def interrupt(done, total):
        raise KeyboardInterrupt

    player.compile_player(broken, short=True)
    monkeypatch.setattr(native.subprocess, "Popen", started)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        native.run(broken, built.images, hang_after=10**12, workers=2, progress=interrupt)
    assert time.monotonic() - start < 10
    assert len(children) == 2 and all(child.poll() is not None for child in children)


def test_memory_files_must_be_there(tmp_path, built):
    """Simulators only warn, and go on with zeros."""
    broken = built.broken(tmp_path / "build", "tally_net", "tally_net")
    (broken / "tally-net.signs.mem").unlink()
    with pytest.raises(PortsError, match=r"signs.mem is missing; build the network again$"):
        native.run(broken, built.images)


def test_a_waveform_of_one_image(tmp_path, built):
    """The same slice with the same pauses: signal changes from its first to its last beat."""
    index = 150
    result = native.run(built.directory, built.images, pauses=HEAVY, seed=3)
    vcd = native.trace(
        built.directory, built.images, index, tmp_path / "a" / "x.vcd", pauses=HEAVY, seed=3
    )
    text = vcd.read_text()
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    (start,) = (a for a, b in result.slices if a <= index < b)
    assert start < index and times[0] > 2 * result.finished[start]
    assert abs(times[-1] - 2 * result.finished[index]) <= 4
    assert "read__data" in text


def test_play_for_any_component(built):
    """Beats in, beats out: the images' beats give what the codec makes of the scores."""
    network = native.codec(built.directory)
    beats = network.encode(built.images[:10])
    played = native.play(built.directory, beats, 30, pauses=SWEEP[3], seed=1)
    scores, _ = network.decode(played.beats)
    np.testing.assert_array_equal(scores, built.scores[:10])
    assert (np.diff(played.stamps) > 0).all() and played.cycles == played.stamps[-1] + 1
    with pytest.raises(Hang):
        native.play(built.directory, beats, 31, hang_after=100)


def test_pauses_are_checked():
    expected = r"^Pauses: sink must be at least 0 and below 1, not 1$"
    with pytest.raises(ValueError, match=expected):
        Pauses(sink=1)


def test_the_compiler_is_part_of_the_key(tmp_path, built, monkeypatch):
    monkeypatch.setattr(tools, "cache_directory", lambda: tmp_path)

    def compiled(program, here, *_):
        (here / program.name).touch()

    monkeypatch.setattr(verilated.Program, "_compile", compiled)
    before = player.compile_player(built.directory, short=True).binary
    monkeypatch.setattr(toolchain, "compiler_version", lambda: "another")
    assert player.compile_player(built.directory, short=True).binary != before


def test_a_short_run_has_a_player_of_its_own(built, monkeypatch):
    asked = []

    def compile_player(build, **options):
        asked.append(options)
        return player.compile_player(build, **options)

    monkeypatch.setattr(native, "compile_player", compile_player)
    planned = native.codec(built.directory).planned_cycles
    monkeypatch.setattr(native, "SHORT", 100 * planned)
    few = native.run(built.directory, built.images[:99])
    many = native.run(built.directory, built.images[:100])
    assert asked == [{"short": True}, {"short": False}]
    np.testing.assert_array_equal(few.scores, many.scores[:99])
    paths = [player.compile_player(built.directory, short=short).binary for short in (True, False)]
    assert paths[0] != paths[1]


def test_streams_that_are_swapped(built):
    ports = read(built.directory)
    with pytest.raises(BuildError, match=r"^tally_net: stream i must be an input and o an output$"):
        player._wrapper(
            type(ports)(
                **{**vars(ports), "streams": {"i": ports.stream("o"), "o": ports.stream("i")}}
            )
        )
