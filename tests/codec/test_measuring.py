import pytest
import torch

from samuel.codec.codec import Codec
from samuel.codec.measuring import (
    bass_agreement,
    bass_onset_correlation,
    chroma_correlation,
    excerpts_of,
    low_pass,
    mel_distance,
    onset_correlation,
    random_phases,
    table,
)

SECOND = 44100


def tones(*hertz):
    time = torch.arange(2 * SECOND) / SECOND
    return sum(0.1 * torch.sin(2 * torch.pi * f * time) for f in hertz).expand(2, -1).contiguous()


def test_chroma_tells_chords_apart_and_ignores_octaves_and_level():
    chord = tones(220, 277.18, 329.63)
    assert chroma_correlation(chord, 0.3 * chord) == pytest.approx(1, abs=1e-3)
    assert chroma_correlation(chord, tones(440, 554.37, 659.26)) > 0.9
    assert chroma_correlation(chord, tones(233.08, 293.66, 349.23)) < 0.1
    assert chroma_correlation(chord, torch.zeros_like(chord)) == 0


def test_mel_distance_is_in_decades_of_power():
    noise = 0.1 * torch.randn(2, SECOND, generator=torch.Generator().manual_seed(0))
    assert mel_distance(noise, noise) == 0
    assert mel_distance(noise, noise / 10**0.5) == pytest.approx(1, abs=0.02)


def test_bass_agreement_hears_the_lowest_notes_alone():
    song = tones(98.0, 220 * 3)
    assert bass_agreement(song, 0.5 * tones(98.0, 233.08 * 3)) == 1
    assert bass_agreement(song, tones(49.0, 660)) == 1  # an octave lower is the same pitch class
    assert bass_agreement(song, tones(103.83, 660)) == 0
    assert bass_agreement(song, torch.zeros_like(song)) == 0
    assert bass_agreement(torch.zeros_like(song), song) == 0


def test_onset_correlations_know_when_drums_play():
    def drums(hertz: float, late: float = 0.0) -> torch.Tensor:
        time = torch.arange(2 * SECOND) / SECOND
        since = (time - late) % 0.37
        return (0.5 * torch.exp(-20 * since) * torch.sin(2 * torch.pi * hertz * since)).expand(2, -1)

    high, low = drums(3000.0), drums(80.0)
    assert onset_correlation(high, 0.7 * high) > 0.95
    assert onset_correlation(high, drums(3000.0, 0.15)) < 0.5
    assert bass_onset_correlation(low, low + high) > 0.95
    assert bass_onset_correlation(low, drums(80.0, 0.15)) < 0.5
    assert bass_onset_correlation(low, torch.zeros_like(low)) == 0


def test_references_do_what_they_say():
    noise = 0.1 * torch.randn(2, SECOND, generator=torch.Generator().manual_seed(0))
    spectrum = torch.fft.rfft(low_pass(noise, 8000.0)).abs()
    hertz = torch.fft.rfftfreq(SECOND, 1 / SECOND)
    assert spectrum[:, hertz > 9500].max() < 0.1 * spectrum[:, hertz < 7500].mean()
    assert abs(torch.corrcoef(torch.stack([noise[0], random_phases(noise)[0]]))[0, 1]) < 0.1


def test_excerpts_are_whole_frames_apart():
    song = torch.arange(10 * SECOND).float().expand(2, -1)
    parts = excerpts_of(song, 2, 2.0)
    assert [part.shape[-1] for part in parts] == [43 * 2048, 43 * 2048]
    assert 0 < parts[0][0, 0] < parts[1][0, 0] < 10 * SECOND - 43 * 2048
    with pytest.raises(ValueError, match="expected songs of 20 s"):
        excerpts_of(song, 1, 20.0)


def test_the_table_puts_a_perfect_codec_first(monkeypatch):
    """It remembers what it encoded, and decodes it as much louder as its latents are above zero."""
    monkeypatch.setattr("samuel.codec.measuring.visqol", lambda *_: float("nan"))
    monkeypatch.setattr("samuel.codec.measuring.note_f1", lambda *_: float("nan"))
    memory = []

    def encode(audio):
        memory.append(audio)
        return torch.zeros(1, 64, audio.shape[-1] // 2048)

    def decode(latents):
        return memory[-1] * (1 + latents.std())

    excerpts = [tones(220, 277)[:, : 40 * 2048], tones(233, 349)[:, : 40 * 2048]]
    codec = Codec(encode, decode, "exact@0", "cpu")
    lines = list(table(codec, excerpts))
    assert lines[2] == "| **exact@0** | 1.00 | 0.00 | 1.00 | 1.00 | 1.00 | – | – |"
    assert "noise of 0.2" in lines[5]
    assert 0 < float(lines[5].split("|")[3]) < 0.16  # 20 log10 1.2 is 1.6 dB, where there is sound
    assert [line.split("|")[1].strip() for line in lines[6:11]] == [
        "14 kHz low-pass",
        "8 kHz low-pass",
        "true magnitudes, random phases",
        "another song",
        "silence",
    ]
    assert "real time" in lines[-1]
