"""Generation: exact in length and time, the same for the same config, without seams, and in bounded memory."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from samuel.audio import AudioError
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation import (
    PRETRAINED,
    QUALITIES,
    GenerationConfig,
    Generator,
    Window,
    WindowTask,
    plan_windows,
)
from samuel.generation.generator import require_sound
from samuel.generation.regions import FADE_SECONDS
from samuel.lanes import side_by_side
from samuel.training.checkpoint import CheckpointError, load_for_generation
from tests.generation.generators import Echo, Monotone, generator, write_checkpoint
from tests.jobs.songs import song_audio

QUICK = GenerationConfig(steps=2)


@pytest.fixture(scope="module")
def small() -> Generator:
    return generator()


@pytest.fixture(scope="module")
def echo() -> Generator:
    return generator(Echo)


def tasks(count: int, frames: int = 40) -> list[WindowTask]:
    """Different vocals and seeds; the second and third hold frames at their start or end."""
    random = torch.Generator().manual_seed(1)
    windows = [Window(0, frames), Window(96, 96 + frames, 9), Window(0, frames, 0, 7)]
    return [
        WindowTask(
            torch.randn(64, frames, generator=random),
            torch.randn(64, frames, generator=random),
            windows[number % 3],
            dataclasses.replace(QUICK, seed=number),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("samples", [1, SAMPLE_RATE, 12 * SAMPLE_RATE + 1, 30 * SAMPLE_RATE - 1])
def test_the_accompaniment_lies_beside_the_vocals_to_the_sample(echo: Generator, samples: int) -> None:
    """A network that answers with the vocals gives the codec's round trip of the whole recording: windows, streamed
    decoding and padding leave no trace."""
    vocals = 0.5 + song_audio(31.0, 1)[:, :samples]
    band = echo.accompany(vocals, QUICK)
    assert band.shape == vocals.shape
    padded = torch.nn.functional.pad(vocals, (0, max(0, 256 * FRAME_SAMPLES - samples)))
    expected = echo.codec.decode(echo.codec.encode(padded[None]))[0, :, :samples]
    torch.testing.assert_close(band, expected, atol=2e-2, rtol=0)
    assert (band - expected).square().mean() < 1e-5 * expected.square().mean()


@pytest.mark.parametrize("window", [64, 200, 512])
def test_windows_joined_are_what_one_window_makes(echo: Generator, window: int) -> None:
    vocals = torch.randn(64, 500, generator=torch.Generator().manual_seed(1))
    canvas = torch.zeros_like(vocals)
    plan = plan_windows(500, window=window, overlap=window // 4)
    assert (len(plan) > 1) == (window < 500)
    for one in plan:
        place = slice(one.start, one.stop)
        (canvas[:, place],) = echo.sample([WindowTask(vocals[:, place], canvas[:, place], one, QUICK)])
    torch.testing.assert_close(canvas, vocals, atol=1e-4, rtol=1e-4)


def test_a_window_goes_on_as_the_one_before_ended() -> None:
    """A network that repeats the beginning of its window plays one chord through the whole song."""
    monotone = generator(Monotone)
    vocals, canvas = torch.zeros(64, 400), torch.zeros(64, 400)
    levels = []
    for one in plan_windows(400, window=128, overlap=32):
        place = slice(one.start, one.stop)
        task = WindowTask(vocals[:, place], canvas[:, place], one, GenerationConfig(steps=8))
        (canvas[:, place],) = monotone.sample([task])
        alone = dataclasses.replace(task, window=Window(one.start, one.stop))
        levels.append(monotone.sample([alone])[0][:, -16:].mean(1))  # what it would be without the one before
    spread = torch.stack(levels).std(0).mean()
    drift = (canvas[:, :16].mean(1) - canvas[:, -16:].mean(1)).abs().mean()
    assert drift < 0.2 * spread


def test_held_frames_come_back_to_the_bit(small: Generator) -> None:
    for task, made in zip(tasks(3), small.sample(tasks(3)), strict=True):
        held, after = task.window.held, task.window.held_after
        same = (made == task.known).all(0)
        assert same[:held].all()
        assert same[40 - after :].all()
        assert not same[held : 40 - after].any()


def test_a_task_does_not_depend_on_what_is_sampled_beside_it(small: Generator) -> None:
    others = tasks(4, frames=40) + tasks(2, frames=56)
    together = small.sample(others)
    assert all(torch.equal(one, small.sample([task])[0]) for one, task in zip(together, others, strict=True))
    batched = small._sample_alike(others[:4], lambda _: None)  # as on a GPU
    for one, alone in zip(batched, together[:4], strict=True):
        torch.testing.assert_close(one, alone, atol=1e-4, rtol=1e-4)


def test_seed_quality_and_guidance_decide_the_result(small: Generator) -> None:
    (task,) = tasks(1)

    def made(**changed: object) -> Tensor:
        return small.sample([dataclasses.replace(task, config=dataclasses.replace(QUICK, **changed))])[0]

    assert torch.equal(made(), made())
    for changed in ({"seed": 1}, {"steps": 3}, {"guidance": 1.0}):
        assert not torch.allclose(made(**changed), made(), atol=1e-3)
    assert len({(QUALITIES[name].steps) for name in QUALITIES}) == len(QUALITIES)


def test_together_or_alone_a_recording_gets_the_same_band(small: Generator) -> None:
    recordings = [song_audio(2.0, 1), song_audio(26.0, 2)]
    together = small.accompany_all(recordings, QUICK)
    for band, vocals in zip(together, recordings, strict=True):
        alone = small.accompany(vocals, QUICK)
        assert band.shape == vocals.shape
        assert (band - alone).square().mean() < 1e-4 * alone.square().mean()  # decoded in other pieces


def test_only_the_region_is_made_anew(small: Generator) -> None:
    vocals = song_audio(8.0, 1)
    band = small.accompany(vocals, QUICK)
    anew = small.accompany(vocals, dataclasses.replace(QUICK, seed=1), keep=band, region=(2.0, 5.5))
    changed = (anew != band).any(0)
    first, last = (round(second * SAMPLE_RATE) for second in (2.0 - FADE_SECONDS, 5.5 + FADE_SECONDS))
    assert not changed[:first].any()
    assert not changed[last:].any()
    assert changed[round(2.0 * SAMPLE_RATE) : round(5.5 * SAMPLE_RATE)].float().mean() > 0.99
    assert (anew - band).abs().max() > 0.05


@pytest.mark.parametrize("region", [(0.0, 1.0), (6.5, 8.0)])
def test_a_region_at_an_end_has_no_fade_there(small: Generator, region: tuple[float, float]) -> None:
    vocals = song_audio(8.0, 1)
    band = torch.zeros_like(vocals)
    anew = small.accompany(vocals, QUICK, keep=band, region=region)
    end = slice(0, 400) if region[0] == 0 else slice(-400, None)
    assert anew[:, end].abs().mean() > 0.1 * anew[:, round(region[0] * 44100) :].abs().mean()


def test_a_band_goes_on_where_it_ended(small: Generator) -> None:
    vocals = song_audio(8.0, 1)
    band = small.accompany(vocals[:, : 5 * SAMPLE_RATE], QUICK)
    longer = small.accompany(vocals, QUICK, keep=band)
    assert longer.shape == vocals.shape
    fade = round(FADE_SECONDS * SAMPLE_RATE)
    assert torch.equal(longer[:, : 5 * SAMPLE_RATE - fade], band[:, :-fade])
    assert longer[:, 5 * SAMPLE_RATE :].square().mean() > 1e-6


@pytest.mark.parametrize(
    ("keep", "region", "says"),
    [
        (None, (1.0, 2.0), "accompaniment to keep"),
        (8.0, None, "which region"),
        (8.0, (5.0, 5.0), "region within the 8.00 s"),
        (8.0, (-1.0, 5.0), "region within"),
        (8.0, (9.0, 10.0), "region within"),
        (4.0, (1.0, 2.0), "ends at 4.00 s"),
        (4.0, (5.0, 8.0), "ends at 4.00 s"),
        (9.0, (1.0, 2.0), "its vocals only 8.00 s"),
    ],
)
def test_impossible_regions_are_explained(
    small: Generator, keep: float | None, region: tuple[float, float] | None, says: str
) -> None:
    kept = None if keep is None else song_audio(keep, 2)
    with pytest.raises(ValueError, match=says):
        small.accompany(song_audio(8.0, 1), QUICK, keep=kept, region=region)


def test_silent_vocals_are_refused_before_any_work(small: Generator) -> None:
    for silent in (torch.zeros(2, SAMPLE_RATE), torch.zeros(2, 0), 1e-5 * song_audio(1.0, 1)):
        with pytest.raises(AudioError, match="silent"):
            small.accompany(silent)
    require_sound(10**-2.5 * song_audio(1.0, 1))  # quieter by 50 dB: a voice all the same


def test_progress_grows_to_one_and_may_stop_the_work(small: Generator) -> None:
    told: list[float] = []
    small.accompany(song_audio(26.0, 1), QUICK, progress=told.append)  # 560 frames
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) == 2 * len(plan_windows(560))

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small.accompany(song_audio(1.0, 1), QUICK, progress=stop)


def test_a_stream_begins_before_the_song_is_made(small: Generator) -> None:
    told: list[float] = []
    pieces = small.stream(song_audio(50.0, 1), QUICK, told.append)
    assert next(pieces).shape[-1] > 5 * SAMPLE_RATE
    assert told[-1] < 0.5
    pieces.close()


def test_a_stream_has_the_same_bits_however_many_pieces_go_at_once(
    small: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the sampler's, which shares each product between its threads."""
    vocals, sample, threads = song_audio(30.0, 1), small.sample, torch.get_num_threads()
    monkeypatch.setattr(small, "sample", lambda tasks, tell: side_by_side(sample, [tasks])[0])
    made = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            made.append(torch.cat(list(small.stream(vocals, QUICK)), dim=1))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])


@pytest.mark.parametrize(
    "wrong",
    [{"quality": "superb"}, {"seed": -1}, {"guidance": 99.0}, {"guidance": float("nan")}, {"steps": 0}],
)
def test_nonsense_recipes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        GenerationConfig(**wrong)


def test_weights_in_half_precision_generate_what_they_say(tmp_path: Path) -> None:
    whole = Generator.load(write_checkpoint(tmp_path / "whole", torch.float32))
    half = Generator.load(write_checkpoint(tmp_path / "half", torch.float16))
    assert next(load_for_generation(tmp_path / "half").model.parameters()).dtype == torch.float32
    for one, other in zip(whole.sample(tasks(2)), half.sample(tasks(2)), strict=True):
        assert (one - other).norm() < 0.02 * one.norm()  # products in bfloat16 round other weights otherwise


def test_checkpoints_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "other", codec="other@0123456789ab")
    with pytest.raises(ValueError, match="other@0123456789ab"):
        Generator.load(tmp_path / "other")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        Generator.load(tmp_path / "nowhere")


@pytest.mark.skipif(not (PRETRAINED / "config.json").exists(), reason="no weights are in this checkout")
def test_the_checkpoint_of_the_package_loads_and_plays() -> None:
    shipped = Generator.load()
    band = shipped.accompany(song_audio(3.0, 1), GenerationConfig("draft"))
    assert torch.isfinite(band).all()
    assert 0.01 < band.square().mean().sqrt() < 0.5


MEASURE = """
import resource, sys, torch
torch.set_num_threads(1)
from samuel.generation import Generator, GenerationConfig
from tests.jobs.songs import song_audio
generator = Generator.load(sys.argv[1])
pieces = generator.stream(song_audio(10.0, 1).repeat(1, int(sys.argv[2])), GenerationConfig(steps=1))
samples = sum(piece.shape[-1] for piece in pieces)
assert samples == int(sys.argv[2]) * 441_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.drill
def test_memory_grows_by_no_more_than_the_audio_itself(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)

    def peak(times: int) -> float:
        command = [sys.executable, "-c", MEASURE, str(tmp_path), str(times)]
        root = Path(__file__).parents[2]
        return float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout)

    short, long = peak(6), peak(36)
    audio = 30 * 10 * SAMPLE_RATE * 2 * 4 / 2**20
    assert long - short < 2.5 * audio  # the recording, and a padded copy of it for the codec
    assert long < 2000
