import math

import pytest
import torch
from safetensors.torch import load_file

from samuel import audio
from samuel.codec import load_codec, training
from samuel.codec.corpus import parts_in, prepare
from samuel.codec.mini import Features, MiniAutoencoder, MiniConfig
from samuel.codec.training import CodecTrainingConfig, loss_of, train

SMALL = MiniConfig(encoder_width=16, encoder_blocks=1, decoder_width=16, decoder_blocks=1, context=1)
QUICK = CodecTrainingConfig(steps=4, batch=4, frames=12, warmup=2, fit_frames=60, save_every=2)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Two songs of 4 s as stems and a recording, measured."""
    folder = tmp_path_factory.mktemp("songs")
    time = torch.arange(4 * 44100) / 44100
    for number in range(2):
        song = folder / f"song{number}"
        song.mkdir()
        notes = 220 * 2 ** ((torch.arange(8) * (5 + 2 * number) % 12) / 12)
        melody = 0.3 * torch.sin(2 * math.pi * torch.cumsum(notes[(2 * time).long()], 0) / 44100)
        chord = 0.1 * sum(torch.sin(2 * math.pi * time * f) for f in (110, 165 + 10 * number, 277))
        noise = 0.02 * torch.randn(2, len(time), generator=torch.Generator().manual_seed(number))
        audio.write(song / "vocals.flac", melody.expand(2, -1))
        audio.write(song / "other.flac", chord.expand(2, -1) + noise)
    audio.write(folder / "recording.wav", torch.stack([melody, chord]))
    (folder / "broken.mp3").write_bytes(b"no music")
    target = tmp_path_factory.mktemp("features")
    errors = {song.title: error for song, error in prepare(str(folder), target, max_seconds=3.0)}
    assert [title for title, error in errors.items() if error] == ["broken"]
    return target


def test_songs_are_measured_once_in_all_their_parts(features):
    parts = parts_in(features, 1)
    assert sorted(part.name for part in parts) == [
        "accompaniment",
        "accompaniment",
        "mix",
        "mix",
        "mix",
        "vocals",
        "vocals",
    ]
    assert all(part.frames == 64 for part in parts)  # 3 s
    assert parts_in(features, 65) == []
    rows, fine = parts[0].rows(5, 7)
    sizes = Features().sizes
    assert rows.shape == (7, sum(sizes[:3]))
    assert fine.shape == (7, sizes[3])


def test_resuming_equals_never_stopping(features, tmp_path, monkeypatch):
    train(features, tmp_path / "whole", QUICK, SMALL)
    step = training._step

    def dies(model, optimizer, parts, lengths, number, config):
        if number == 3:
            raise KeyboardInterrupt
        return step(model, optimizer, parts, lengths, number, config)

    monkeypatch.setattr(training, "_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train(features, tmp_path / "stopped", QUICK, SMALL)
    monkeypatch.setattr(training, "_step", step)
    said = []
    train(features, tmp_path / "stopped", QUICK, SMALL, report=said.append)
    assert said == ["going on from step 2"]
    whole, stopped = (load_file(tmp_path / name / "mini.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[key], stopped[key]) for key in whole)
    assert load_codec(tmp_path / "stopped").encode(torch.zeros(1, 2, 4096)).shape == (1, 64, 2)


def test_training_improves_on_the_closed_form(features, tmp_path):
    """And the closed form on nothing: its own error is the loss's unit."""
    losses = {}
    for steps in (0, 60):
        config = CodecTrainingConfig(steps=steps, batch=8, frames=24, warmup=5, rate=3e-3, fit_frames=64)
        model = train(features, tmp_path / str(steps), config, SMALL)
        rows = [part.rows(10, 48) for part in parts_in(features, 58)]
        inputs, fine = (torch.stack(kind) for kind in zip(*rows, strict=True))
        with torch.no_grad():
            losses[steps] = float(loss_of(model, inputs, fine, torch.zeros(1, 1, 64))[0])
    torch.manual_seed(0)
    untrained = MiniAutoencoder(SMALL)
    untrained.decoder.spread.copy_(model.decoder.spread)
    with torch.no_grad():
        nothing = float(loss_of(untrained, inputs, fine, torch.zeros(1, 1, 64))[0])
    assert losses[0] < 0.1 * nothing
    assert losses[60] < 0.9 * losses[0]


def test_latents_of_the_closed_form_are_white(features, tmp_path):
    model = train(features, tmp_path, CodecTrainingConfig(steps=0, fit_frames=64), SMALL)
    chance = torch.Generator().manual_seed(0)
    rows = []
    for part in parts_in(features, 1):  # the very rows of the fit
        keep, _ = model.encoder.features.band_limit(1, chance)
        rows.append(part.rows(0, 64)[0] * keep[0])
    with torch.no_grad():
        latents = model.encoder.latents_of(torch.cat(rows)[None])[0]
    strong = latents[:, :16].double()  # the weakest components of so little data are rounding
    torch.testing.assert_close(strong.mean(dim=0), torch.zeros(16).double(), atol=0.02, rtol=0)
    torch.testing.assert_close(strong.T.cov(correction=0), torch.eye(16).double(), atol=0.05, rtol=0)


def test_nothing_to_train_on_is_said(tmp_path):
    with pytest.raises(ValueError, match="found none of 12 frames"):
        train(tmp_path, tmp_path / "run", QUICK, SMALL)


def test_band_limiting_cuts_the_treble_of_half_the_excerpts():
    features = Features()
    keep, keep_fine = features.band_limit(400, torch.Generator().manual_seed(0))
    hertz, hertz_fine = features.centers
    assert torch.all(keep[..., hertz < 14_000] == 1)
    assert torch.all(keep_fine[..., hertz_fine < 14_000] == 1)
    cut = (keep_fine[:, 0, -1] == 0).float().mean()
    assert 0.4 < cut < 0.6
