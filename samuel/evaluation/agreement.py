"""Features of two recordings of one song compared: an accompaniment with its vocals, or with the true accompaniment."""

from samuel.evaluation.dynamics import level_agreement, rests_kept, together
from samuel.evaluation.features import AudioFeatures
from samuel.evaluation.harmony import chroma_agreement, key_of, key_score
from samuel.evaluation.rhythm import accent, beat_continuity, onset_f1

CHROMA_SECONDS = 0.5


def with_vocals(vocals: AudioFeatures, band: AudioFeatures) -> dict[str, float]:
    """The metrics of `metrics.VOCALS`, over the time that both have."""
    vocals, band = shared(vocals, band)
    return {
        "vocals_chroma": chroma_agreement(vocals.chroma, band.chroma, CHROMA_SECONDS),
        "vocals_key": key_score(key_of(vocals.chroma), key_of(band.chroma)),
        "vocals_accent": accent(vocals.onsets, band.onset_strength),
        "vocals_onsets": onset_f1(vocals.onsets, band.onsets),
        "vocals_beats": beat_continuity(vocals.beats, band.beats),
        "vocals_together": together(vocals.level, band.level),
    }


def with_reference(reference: AudioFeatures, band: AudioFeatures) -> dict[str, float]:
    """The metrics of `metrics.REFERENCE`, against the true accompaniment, over the time that both have."""
    reference, band = shared(reference, band)
    return {
        "truth_chroma": chroma_agreement(reference.chroma, band.chroma, CHROMA_SECONDS),
        "truth_key": key_score(key_of(reference.chroma), key_of(band.chroma)),
        "truth_beats": beat_continuity(reference.beats, band.beats),
        "truth_accent": accent(reference.beats, band.onset_strength),
        "truth_onsets": onset_f1(reference.onsets, band.onsets),
        "truth_level": level_agreement(reference.level, band.level),
        "truth_rests": rests_kept(reference.level, band.level),
    }


def shared(first: AudioFeatures, second: AudioFeatures) -> tuple[AudioFeatures, AudioFeatures]:
    """Both up to the end of the shorter one."""
    seconds = min(first.seconds, second.seconds)
    return first.until(seconds), second.until(seconds)
