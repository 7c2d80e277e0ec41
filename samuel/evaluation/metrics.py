"""The figures of a report: their names, what they mean, and which way is better."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", ""]


@dataclass(frozen=True)
class Metric:
    """One column of the scores."""

    column: str
    label: str
    meaning: str
    better: Better = ""
    digits: int = 2


@dataclass(frozen=True)
class Group:
    """Metrics that stand in one table."""

    name: str
    title: str
    note: str
    metrics: tuple[Metric, ...]


AESTHETICS = Group(
    "aesthetics",
    "Aesthetics (Table I)",
    "Opinions predicted by AudioBox-Aesthetics, 1 to 10, of the track alone: it does not hear the vocals, and "
    "cannot tell whether a band follows them. The paper calls CU “Content Unity” and describes it as "
    "coherence; the model's CU is Content Usefulness.",
    (
        Metric("PQ", "PQ", "production quality", "higher"),
        Metric("PC", "PC", "production complexity: more is not always better"),
        Metric("CE", "CE", "content enjoyment", "higher"),
        Metric("CU", "CU", "content usefulness", "higher"),
    ),
)
VOCALS = Group(
    "vocals",
    "Agreement with the vocals",
    "Agreement of each track with the vocals of its own song. The shuffled rows are the same tracks beside other "
    "songs' vocals: only what is above them is owed to the singer.",
    (
        Metric(
            "vocals_chroma",
            "chroma",
            "correlation (-1 to 1) of the chromas of band and voice in half seconds where both sound",
            "higher",
        ),
        Metric(
            "vocals_key",
            "key",
            "MIREX score (0 to 1) of the band's key against the voice's, both by Krumhansl's profiles",
            "higher",
        ),
        Metric(
            "vocals_accent",
            "accent",
            "standard deviations by which the band's onset strength at the voice's onsets is above its mean; "
            "about 1 by chance",
            "higher",
        ),
        Metric(
            "vocals_onsets",
            "onset F1",
            "F-measure of the band's onsets against the voice's, within 50 ms (mir_eval)",
            "higher",
        ),
        Metric(
            "vocals_beats",
            "beats",
            "share of beats right at any metrical level (mir_eval AMLt), both tracked by librosa",
            "higher",
        ),
        Metric(
            "vocals_together",
            "together",
            "share of the time in which both sound or both rest",
            "higher",
        ),
    ),
)
REFERENCE = Group(
    "truth",
    "Agreement with the true accompaniment",
    "Agreement of each track with the song's real accompaniment, which is one right answer among many.",
    (
        Metric(
            "truth_chroma",
            "chroma",
            "correlation (-1 to 1) of the chromas in half seconds where both sound",
            "higher",
        ),
        Metric("truth_key", "key", "MIREX score (0 to 1) of the keys", "higher"),
        Metric(
            "truth_beats", "beats", "share of beats right at any metrical level (mir_eval AMLt)", "higher"
        ),
        Metric(
            "truth_accent",
            "accent",
            "standard deviations by which the onset strength at the true band's beats is above its mean",
            "higher",
        ),
        Metric("truth_onsets", "onset F1", "F-measure of the onsets, within 50 ms (mir_eval)", "higher"),
        Metric("truth_level", "level", "correlation (-1 to 1) of the levels in seconds", "higher"),
        Metric("truth_rests", "rests", "share of the true band's rests in which the band rests", "higher"),
    ),
)
HEALTH = Group(
    "health",
    "Health of the audio",
    "Of each track alone. Not a contest: figures far from the truth's ask for a look.",
    (
        Metric("loudness_lufs", "LUFS", "integrated loudness, ITU-R BS.1770", digits=1),
        Metric("true_peak_dbtp", "dBTP", "true peak", digits=1),
        Metric(
            "clipped_share", "clipped", "share of samples in runs of 3 and more at full scale", "lower", 4
        ),
        Metric("rolloff_hz", "95% below, Hz", "95% of the power lies below", digits=0),
        Metric(
            "bandwidth_hz",
            "bandwidth, Hz",
            "highest third-octave band within 60 dB of the strongest",
            digits=0,
        ),
        Metric(
            "tilt_db_per_octave", "tilt, dB/oct", "slope of third-octave bands, 100 Hz to 10 kHz", digits=1
        ),
        Metric("dc", "DC", "the larger mean of both channels", "lower", 4),
        Metric("silent_share", "silent", "share of the time below -60 dBFS", digits=3),
    ),
)
GROUPS = (AESTHETICS, VOCALS, REFERENCE, HEALTH)
METRICS = tuple(metric for group in GROUPS for metric in group.metrics)
