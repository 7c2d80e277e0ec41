"""From a voice to what a band is told, and how far the network leaves it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from samuel.arranging import PARTS, STEMS
from samuel.codec import load_codec
from samuel.config import SAMPLE_RATE
from samuel.generation import Direction, Director, GenerationConfig
from samuel.generation.config import Mixdown
from samuel.generation.files import read_audio
from samuel.generation.generator import Generator
from samuel.generation.producer import Producer
from samuel.generation.recordings import Outputs, recording_of
from samuel.lead_sheet.files import read_lead_sheet
from samuel.lead_sheet.locks import Locks
from samuel.model import ModelConfig, SamuelUNet
from samuel.model.conditions import CONDITION_CHANNELS, GROUPS
from samuel.training import Trained
from samuel.training.checkpoint import RunConfig
from samuel.vocals import NORMAL_FORM
from samuel.vocals import voice as heard_by
from tests.generation.generators import STATISTICS, TINY, generator
from tests.vocals.test_vocals import voice

SECONDS = 8.0
LOCKED = Direction(Locks.parse(bpm=120.0, first_beat=0.0, chords="| C | F |"))


@pytest.fixture(scope="module")
def director() -> Director:
    return Director(LOCKED)


def told_network() -> tuple[Generator, list[torch.Tensor]]:
    """A generator whose network is told everything, and what it was told."""
    told: list[torch.Tensor] = []

    class Listening(SamuelUNet):
        def encode_conditions(self, conditions, unconditional=None):
            told.append(conditions)
            return super().encode_conditions(conditions, unconditional)

    config = ModelConfig(
        **{**vars(TINY.model), "condition_channels": CONDITION_CHANNELS, "preconditioned": True}
    )
    codec = load_codec("mini")
    run = RunConfig("tiny", config, TINY.training, codec.identity, "fingerprint", vocals=NORMAL_FORM)
    model = Listening(config).eval().requires_grad_(False)
    return Generator(Trained(model, STATISTICS, run), codec), told


def test_locks_are_what_is_played(director: Director) -> None:
    directed = director.direct(voice(SECONDS))
    assert directed.sheet is not None
    assert directed.arrangement is not None
    assert [chord.label for chord in directed.sheet.chords] == ["C:maj", "F:maj", "C:maj", "F:maj"]
    assert directed.sheet.beats[:3] == pytest.approx((0.0, 0.5, 1.0))
    assert directed.sheet.style == directed.arrangement.style
    assert not directed.remarks


def test_no_singing_is_told(director: Director) -> None:
    noise = 0.1 * torch.randn(2, int(SECONDS * SAMPLE_RATE), generator=torch.Generator().manual_seed(0))
    assert "no singing was found" in director.direct(noise).remarks[0]


def test_the_voice_alone_has_no_lead_sheet() -> None:
    directed = Director(Direction(follow_voice_alone=True)).direct(voice(2.0))
    assert directed.sheet is None
    assert directed.arrangement is None


def test_the_same_voice_recorded_otherwise_has_the_same_lead_sheet() -> None:
    finder = Director(Direction())
    plain = finder.direct(voice(SECONDS)).sheet
    for change in (torch.tensor([[0.1], [0.1]]), torch.tensor([[1.0], [0.0]]), torch.tensor([[1.0], [-1.0]])):
        assert finder.direct(voice(SECONDS) * change).sheet == plain


def test_an_unknown_player_is_an_error() -> None:
    with pytest.raises(ValueError, match="kazoo"):
        Director(Direction(parts=("kazoo",))).direct(voice(2.0))


def test_strength_says_how_much_stays_of_the_arrangement(director: Director) -> None:
    vocals = voice(SECONDS)
    directed = director.direct(vocals)
    assert directed.arrangement is not None
    arranged = director.play(directed.arrangement, vocals.shape[-1])
    assert arranged.shape == vocals.shape
    assert arranged.abs().max() > 0.05
    noisy = generator()
    assert torch.equal(
        noisy.accompany(vocals, GenerationConfig(strength=0.0), arrangement=arranged), arranged
    )
    latents = noisy.encode(arranged)
    distances = []
    for strength in (0.1, 0.5, 1.0):
        made = noisy.encode(
            noisy.accompany(vocals, GenerationConfig("draft", strength=strength), arrangement=arranged)
        )
        distances.append(float((made - latents).square().mean()))
    assert distances == sorted(distances)
    assert distances[0] < 0.5 * distances[2]


def test_a_stream_from_an_arrangement_in_the_making_is_that_from_the_whole(director: Director) -> None:
    vocals = voice(64.0)
    directed = director.direct(vocals)
    assert directed.arrangement is not None
    whole = director.play(directed.arrangement, vocals.shape[-1])
    played = []

    def blocks() -> Iterator[torch.Tensor]:
        for block in director.play_blocks(directed.arrangement, vocals.shape[-1]):
            played.append(block)
            yield block

    network, _ = told_network()
    config = GenerationConfig("draft")
    pieces = network.stream(
        vocals, config, lead_sheet=directed.sheet, arrangement=blocks(), voice=directed.voice
    )
    first = next(pieces)
    assert sum(block.shape[1] for block in played) < vocals.shape[-1]
    made = torch.cat([first, *pieces], dim=1)
    assert torch.equal(torch.cat(played, dim=1), whole)
    expected = network.accompany(vocals, config, lead_sheet=directed.sheet, arrangement=whole)
    assert torch.equal(made, expected)
    alone = GenerationConfig(strength=0.0)
    assert torch.equal(torch.cat(list(network.stream(vocals, alone, arrangement=blocks())), dim=1), whole)


def test_a_network_of_the_new_kind_is_told_everything(director: Director) -> None:
    vocals = voice(SECONDS)
    directed = director.direct(vocals)
    assert directed.arrangement is not None
    arranged = director.play(directed.arrangement, vocals.shape[-1])
    network, told = told_network()
    network.accompany(vocals, GenerationConfig("draft"), lead_sheet=directed.sheet, arrangement=arranged)
    for name, group in GROUPS.items():
        assert told[0][:, group].any(), name
    told.clear()
    network.accompany(vocals, GenerationConfig("draft"))
    assert told[0][:, GROUPS["vocals"]].any()
    assert not told[0][:, GROUPS["arrangement"]].any()
    assert not told[0][:, GROUPS["lead_sheet"]].any()


def test_a_voice_is_heard_once(director: Director, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    def counted(name, find):
        def count(sound):
            heard.append(name)
            return find(sound)

        return count

    for name in ("normal_form", "extract_features"):
        monkeypatch.setattr(heard_by, name, counted(name, getattr(heard_by, name)))
    vocals = voice(SECONDS)
    network, told = told_network()
    directed = director.direct(vocals)
    network.prepare(vocals, directed.sheet, None, directed.voice)
    network.accompany_all([vocals], GenerationConfig("draft"), [directed.sheet], None, [directed.voice])
    assert sorted(heard) == ["extract_features", "normal_form"]
    network.accompany(vocals, GenerationConfig("draft"), lead_sheet=directed.sheet)
    assert len(heard) == 4
    assert torch.equal(told[0], told[-1])


def test_files_of_an_arrangement(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "voice.wav", voice(SECONDS).T.numpy(), SAMPLE_RATE, subtype="FLOAT")
    recording = recording_of(
        str(tmp_path / "voice.wav"),
        Outputs(
            str(tmp_path / "band.wav"),
            midi=str(tmp_path / "band.mid"),
            stems=str(tmp_path / "stems"),
            lead_sheet=str(tmp_path / "sheet.json"),
        ),
        variations=2,
    )
    producer = Producer(None, GenerationConfig(strength=0.0), Mixdown(), direction=LOCKED)
    (report,) = producer([recording])
    assert not report.error
    for number in ("", "-2"):
        band = read_audio(tmp_path / f"band{number}.wav")
        stems = [read_audio(file) for file in sorted((tmp_path / f"stems{number}").iterdir())]
        assert (sum(stems) - band).abs().max() < 2e-4  # the band's file has 16 bits
        assert (tmp_path / f"band{number}.mid").stat().st_size > 200
        sheet = read_lead_sheet(tmp_path / f"sheet{number}.json")
        assert [chord.label for chord in sheet.chords][:2] == ["C:maj", "F:maj"]
    assert not np.allclose(read_audio(tmp_path / "band.wav"), read_audio(tmp_path / "band-2.wav"))


def test_stems_by_part_add_up_and_none_of_an_earlier_arrangement_stays(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "voice.wav", voice(SECONDS).T.numpy(), SAMPLE_RATE, subtype="FLOAT")
    producer = Producer(None, GenerationConfig(strength=0.0), Mixdown(), direction=LOCKED)
    for by_part in (False, True, False):
        recording = recording_of(
            str(tmp_path / "voice.wav"),
            Outputs(str(tmp_path / "band.flac"), stems=str(tmp_path / "take 1.2"), stems_by_part=by_part),
        )
        (report,) = producer([recording])
        assert not report.error
        names = {file.stem for file in (tmp_path / "take 1.2").iterdir()}
        if by_part:
            assert {"drums", "bass", "chords"} <= names <= set(PARTS)
            assert any("other.flac" in remark for remark in report.remarks)
        else:
            assert names == set(STEMS)
        band = read_audio(tmp_path / "band.flac")
        stems = sum(read_audio(file) for file in (tmp_path / "take 1.2").iterdir())
        assert 10 * ((stems - band).square().mean() / band.square().mean()).log10() < -60


def test_folders_are_numbered_behind_their_whole_name(tmp_path: Path) -> None:
    recording = recording_of(
        "vocals.wav", Outputs(str(tmp_path / "band.wav"), stems=str(tmp_path / "take 1.2")), variations=2
    )
    assert [Path(folder).name for folder in recording.stems] == ["take 1.2", "take 1.2-2"]


def test_a_lead_sheet_beside_a_recording_is_played(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "voice.wav", voice(SECONDS).T.numpy(), SAMPLE_RATE)
    directed = Director(LOCKED).direct(voice(SECONDS))
    assert directed.sheet is not None
    (tmp_path / "voice.json").write_text(directed.sheet.transposed(2).to_json())
    recording = replace(
        recording_of(str(tmp_path / "voice.wav"), Outputs(str(tmp_path / "band.wav"))),
        lead_sheet=str(tmp_path / "voice.json"),
    )
    producer = Producer(None, GenerationConfig(strength=0.0), Mixdown(), direction=Direction())
    found = producer.direct(recording, producer.vocals_of(recording)).sheet
    assert found is not None
    assert found.chords[0].label == "D:maj"


def test_strength_0_needs_an_arrangement(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="strength from 0 to 1"):
        GenerationConfig(strength=1.5)
    with pytest.raises(ValueError, match=r"ends in \.mid"):
        recording_of("voice.wav", Outputs("band.wav", midi="band.wav"))
    with pytest.raises(ValueError, match=r"ends in \.json"):
        recording_of("voice.wav", Outputs("band.wav", lead_sheet="sheet.pdf"))
