"""Two hearings of one song compared: an accompaniment with its vocals, or with the true accompaniment."""

from samuel.evaluation.dynamics import level_agreement, rests_kept, together
from samuel.evaluation.harmony import chroma_agreement, key_of, key_score
from samuel.evaluation.hearing import Hearing
from samuel.evaluation.rhythm import accent, beat_continuity, onset_f1

CHROMA_SECONDS = 0.5


def with_vocals(band: Hearing, vocals: Hearing) -> dict[str, float]:
    """The metrics of `metrics.VOCALS`, over the time that both have."""
    band, vocals = shared(band, vocals)
    return {
        "vocals_chroma": chroma_agreement(band.chroma, vocals.chroma, CHROMA_SECONDS),
        "vocals_key": key_score(key_of(vocals.chroma), key_of(band.chroma)),
        "vocals_accent": accent(band.onset_strength, vocals.onsets),
        "vocals_onsets": onset_f1(vocals.onsets, band.onsets),
        "vocals_beats": beat_continuity(vocals.beats, band.beats),
        "vocals_together": together(band.level, vocals.level),
    }


def with_truth(band: Hearing, truth: Hearing) -> dict[str, float]:
    """The metrics of `metrics.TRUTH`, over the time that both have."""
    band, truth = shared(band, truth)
    return {
        "truth_chroma": chroma_agreement(band.chroma, truth.chroma, CHROMA_SECONDS),
        "truth_key": key_score(key_of(truth.chroma), key_of(band.chroma)),
        "truth_beats": beat_continuity(truth.beats, band.beats),
        "truth_accent": accent(band.onset_strength, truth.beats),
        "truth_onsets": onset_f1(truth.onsets, band.onsets),
        "truth_level": level_agreement(band.level, truth.level),
        "truth_rests": rests_kept(band.level, truth.level),
    }


def shared(first: Hearing, second: Hearing) -> tuple[Hearing, Hearing]:
    """Both up to the end of the shorter one."""
    seconds = min(first.seconds, second.seconds)
    return first.until(seconds), second.until(seconds)
