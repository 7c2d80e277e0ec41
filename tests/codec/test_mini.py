import json
import math
from pathlib import Path

import pytest
import torch
from stable_audio_tools.models.autoencoders import AudioAutoencoder
from stable_audio_tools.models.bottleneck import VAEBottleneck

import samuel
from samuel import audio
from samuel.codec import load_codec, spectra
from samuel.codec.bass import BASS_FILE
from samuel.codec.codec import Codec
from samuel.codec.loaders import MINI_FOLDER, _build, encode_mean, read_bass, read_checkpoint
from samuel.codec.measuring import bass_agreement, chroma_correlation, mel_distance
from samuel.codec.mini import ENVELOPE_WEIGHT, SIDE_WEIGHT, MiniAutoencoder, MiniConfig, limit

FRAME = 2048
DEMO_SONG = Path(samuel.__file__).parent / "demo_songs" / "hobbs-lets-go-fishin.ogg"


def band(seconds: float) -> torch.Tensor:
    """Something like music: chords of decaying partials over a bass, with noise bursts on the beat."""
    time = torch.arange(int(seconds * 44100) // FRAME * FRAME) / 44100
    beat = (time * 2).long()
    decay = torch.exp(-3 * (time * 2 - beat))
    chords = torch.tensor([[57, 60, 64], [53, 57, 60], [48, 52, 55], [55, 59, 62]])[(beat // 2) % 4]
    sound = torch.zeros_like(time)
    for voice in range(3):
        hertz = 440 * 2 ** ((chords[:, voice] - 69) / 12)
        for partial in range(1, 6):
            sound += decay * torch.sin(2 * math.pi * torch.cumsum(hertz / 44100, 0) * partial) / partial**1.5
    hertz = 440 * 2 ** ((chords[:, 0] - 93) / 12)
    sound += 2 * decay * torch.sin(2 * math.pi * torch.cumsum(hertz / 44100, 0))
    noise = torch.randn(2, len(time), generator=torch.Generator().manual_seed(0)) * decay**6
    return 0.1 * (sound + 0.5 * noise)


@pytest.fixture(scope="module")
def codec():
    return load_codec("mini")


@pytest.fixture(scope="module")
def music():
    return band(5.0)


def test_shapes_and_determinism(codec, music):
    latents = codec.encode(music[None, :, : 20 * FRAME + 1].repeat(2, 1, 1))
    assert latents.shape == (2, 64, 21)
    audio = codec.decode(latents)
    assert audio.shape == (2, 2, 21 * FRAME)
    torch.testing.assert_close(
        codec.encode(music[None, :, : 20 * FRAME + 1])[0], latents[0], rtol=1e-4, atol=1e-5
    )
    assert torch.equal(codec.decode(latents), audio)
    assert codec.identity.startswith("mini@")


def test_keeps_harmony_and_envelope(codec, music):
    decoded = codec.decode(codec.encode(music[None]))[0]
    assert chroma_correlation(music, decoded) > 0.8
    assert mel_distance(music, decoded) < 0.6
    assert chroma_correlation(music, decoded.roll(44100, -1)) < 0.8  # the bar is not met by chance


def test_keeps_harmony_and_envelope_of_a_real_song(codec):
    """Of the demo song that `mini` was trained on too: its weights card has songs that it was not."""
    song = audio.decode(DEMO_SONG)[:, 40 * 44100 :][:, : 100 * FRAME]
    decoded = codec.decode(codec.encode(song[None]))[0]
    assert chroma_correlation(song, decoded) > 0.9
    assert mel_distance(song, decoded) < 0.45


def test_latents_are_about_unit_size(codec, music):
    latents = codec.encode(music[None])
    assert 0.3 < latents.std() < 3
    assert latents.abs().max() < 20


def test_small_noise_on_latents_changes_little(codec, music):
    latents = codec.encode(music[None])
    noise = 0.1 * torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    assert chroma_correlation(music, codec.decode(latents + noise)[0]) > 0.75


def test_silence_stays_silent(codec):
    decoded = codec.decode(codec.encode(torch.zeros(1, 2, 40 * FRAME)))
    assert decoded.abs().max() < 1e-3  # -60 dB


def test_loud_music_stays_within_full_scale(codec, music):
    loud = 0.99 * music / music.abs().max()
    decoded = codec.decode(codec.encode(2 * loud[None].clamp(-0.5, 0.5)))
    assert 0.5 < decoded.abs().max() <= 1


def test_a_click_lands_in_its_own_frame(codec):
    audio = torch.zeros(1, 2, 41 * FRAME)
    audio[..., 20 * FRAME + FRAME // 2] = 0.9
    change = codec.encode(audio) - codec.encode(torch.zeros_like(audio))
    assert change[0].square().sum(dim=0).argmax() == 20
    energy = codec.decode(codec.encode(audio))[0].mean(dim=0).reshape(-1, FRAME).square().sum(dim=1)
    assert energy.argmax() == 20


def test_a_shift_by_frames_shifts_latents(codec, music):
    clip = music[None, :, : 60 * FRAME]
    shifted = torch.nn.functional.pad(clip, (3 * FRAME, 0))
    middle = slice(20, 40)
    torch.testing.assert_close(
        codec.encode(shifted)[..., 23:43], codec.encode(clip)[..., middle], rtol=1e-4, atol=1e-4
    )


def test_pieces_equal_the_whole(codec, music):
    def cut_into(piece_frames: int) -> Codec:
        return Codec(
            codec.encoder, codec.decoder, "mini", "cpu", piece_frames=piece_frames, counts_frames=True
        )

    whole, pieces = cut_into(1000), cut_into(128)
    latents = whole.encode(music[None])
    torch.testing.assert_close(pieces.encode(music[None]), latents, rtol=1e-3, atol=1e-4)
    at_once, joined = whole.decode(latents), pieces.decode(latents)
    assert (joined - at_once).abs().max() < 1e-3 * at_once.abs().max()


def test_a_part_decoded_apart_fits_where_it_says_it_is(codec, music):
    latents = codec.encode(music[None])
    reach = codec.decoder_reach
    kept = slice((31 + reach) * FRAME, (71 - reach) * FRAME)
    whole = codec.decode(latents)[..., kept]

    def difference(first_frame: int) -> float:
        part = codec.decode(latents[..., 31:71], first_frame)[
            ..., kept.start - 31 * FRAME : kept.stop - 31 * FRAME
        ]
        return float((part - whole).abs().max() / whole.abs().max())

    assert difference(31) < 1e-3
    assert difference(0) > 0.1


def test_kept_audio_is_known_by_the_decoder_and_latents_by_the_encoder(codec, monkeypatch):
    monkeypatch.setattr(MiniAutoencoder, "revision", MiniAutoencoder.revision + 1)
    later = load_codec("mini")
    assert later.identity == codec.identity
    assert later.decoding != codec.decoding


def test_what_is_known_of_the_bass_changes_how_it_is_decoded_and_no_latent(codec, tmp_path):
    folder = tmp_path / "mini"
    folder.mkdir()
    for name in ("config.json", "mini.safetensors"):
        (folder / name).write_bytes((MINI_FOLDER / name).read_bytes())
    without = load_codec(folder / "mini.safetensors")
    assert without.identity == codec.identity
    song = audio.decode(DEMO_SONG)[:, 40 * 44100 :][:, : 100 * FRAME]
    latents = codec.encode(song[None])
    assert torch.equal(without.encode(song[None]), latents)
    agreement = [bass_agreement(song, one.decode(latents)[0]) for one in (without, codec)]
    assert agreement[1] > agreement[0] + 0.03
    (folder / BASS_FILE).write_bytes((MINI_FOLDER / BASS_FILE).read_bytes())
    beside = load_codec(folder)
    assert beside.decoding == codec.decoding != without.decoding
    assert torch.equal(beside.decode(latents), codec.decode(latents))
    (folder / BASS_FILE).write_bytes((MINI_FOLDER / "mini.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"bass\.safetensors: the checkpoint lacks"):
        load_codec(folder)


def test_works_inside_stable_audio_tools(codec, music):
    settings = json.loads((MINI_FOLDER / "config.json").read_text())
    model = _build(settings, read_checkpoint(MINI_FOLDER / "mini.safetensors"), "mini").eval()
    model.decoder.bass = read_bass(MINI_FOLDER / BASS_FILE)
    theirs = AudioAutoencoder(model.encoder, model.decoder, 64, FRAME, 44100, bottleneck=VAEBottleneck())
    clip = music[None, :, : 20 * FRAME]
    with torch.no_grad():
        latents = encode_mean(theirs, clip)
        sampled = theirs.encode(clip)
        decoded = theirs.decode(latents)
    torch.testing.assert_close(latents, codec.encode(clip))
    torch.testing.assert_close(decoded, codec.decode(latents))
    assert 0.03 < (sampled - latents).std() < 0.07


def test_is_small_enough_to_ship():
    assert sum(path.stat().st_size for path in MINI_FOLDER.iterdir()) < 20e6


def test_overlap_add_undoes_the_spectrum():
    audio = torch.randn(2, 16 * FRAME)
    for window, hop in ((1024, 512), (4096, 1024)):
        back = spectra.overlap_add(spectra.spectrum(audio, window, hop), window, hop)
        torch.testing.assert_close(back[:, window:-window], audio[:, window:-window], rtol=1e-4, atol=1e-4)


def test_a_sine_has_its_amplitude_in_every_window():
    sine = 0.5 * torch.sin(2 * math.pi * 441 * torch.arange(20 * FRAME) / 44100)[None]
    for window, hop in ((1024, 512), (4096, 1024), (8192, 2048)):
        peak = spectra.spectrum(sine, window, hop).abs()[0, 10].max()
        assert 0.85 * 0.5 <= peak <= 0.501  # a Hann window loses at most 15 % between bins


def test_powers_in_real_arithmetic_are_those_in_complex():
    spectrum = torch.randn(2, 3, 5, dtype=torch.complex64)
    torch.testing.assert_close(spectra.power(spectrum), spectrum.abs() ** 2)


@pytest.mark.parametrize("loudest", [0.3, 0.8, 0.9, 4.0])
def test_loud_peaks_alone_are_bent_and_stay_within_full_scale(loudest):
    audio = torch.linspace(-1, 1, 2001).expand(1, 2, -1) * loudest
    limited = limit(audio)
    soft = audio.abs() <= 0.8
    torch.testing.assert_close(limited[soft], audio[soft])
    assert limited.abs().max() <= 1
    assert (limited[~soft].abs() <= audio[~soft].abs()).all()


def test_the_envelope_alone_is_that_of_the_whole_prediction() -> None:
    settings = json.loads((MINI_FOLDER / "config.json").read_text())
    decoder = _build(settings, read_checkpoint(MINI_FOLDER / "mini.safetensors"), "mini").eval().decoder
    latents = torch.randn(2, 40, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(decoder.predict_envelope(latents), decoder.predict(latents).envelope)


def test_the_reach_in_the_config_is_the_measured_one() -> None:
    codec = load_codec("mini")
    stated = dict(codec._reach)
    codec._reach.clear()
    assert stated["encoder"] == pytest.approx(codec.encoder_reach, abs=1)
    assert stated["decoder"] == pytest.approx(codec.decoder_reach, abs=1)


def test_importance_of_a_linear_decoder_is_the_size_of_its_weights():
    network = MiniAutoencoder(MiniConfig(decoder_blocks=1))
    torch.nn.init.normal_(network.decoder.linear.weight)
    importance = network.perceptual_weight()
    assert importance.mean() == pytest.approx(1)
    envelope, side, fine = network.decoder.linear.weight.square().sum(dim=2).split(network.decoder.sizes)
    fine = fine * network.encoder.features.fine_weights[:, None]
    expected = fine.mean(dim=0) + ENVELOPE_WEIGHT * envelope.mean(dim=0) + SIDE_WEIGHT * side.mean(dim=0)
    torch.testing.assert_close(importance, expected / expected.mean())


def test_a_latent_of_more_importance_changes_more_of_the_sound(codec, music):
    """By mel distance, which importance knows nothing of."""
    latents, importance = codec.encode(music[None]), codec.perceptual_weight
    decoded = codec.decode(latents)[0]

    def change(latent: int) -> float:
        moved = latents.clone()
        moved[:, latent] += 1
        return mel_distance(decoded, codec.decode(moved)[0])

    order = importance.argsort(descending=True).tolist()
    assert importance[order[0]] > 50 * importance[order[-1]]
    assert min(change(one) for one in order[:2]) > 1.5 * max(change(one) for one in order[-2:])
