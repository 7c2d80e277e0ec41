"""What the SAMUeL paper (arXiv 2507.19991) published, to stand beside new figures and marked as the paper's."""

from dataclasses import dataclass

TRACKS = 10
SECONDS = 47
# The report's template reads these.
QUALITY_NOTE = (
    f"As published (arXiv 2507.19991), means of {TRACKS} tracks without intervals, on unnamed tracks: "
    "not measured here, and comparable only in kind."
)
SPEED_NOTE = (
    "As published (arXiv 2507.19991), on unnamed hardware: not measured here, and comparable only in kind."
)


@dataclass(frozen=True)
class PaperQuality:
    """A row of Table I. CU is printed there as Content Unity; AudioBox's is Content Usefulness."""

    system: str
    PQ: float
    PC: float
    CE: float
    CU: float


@dataclass(frozen=True)
class Speed:
    """A row of Table II: what about 47 s of audio took, on hardware that the paper does not name."""

    system: str
    parameters: float
    seconds: float
    conditioning: str
    at_least: bool = False
    """The paper says more than these seconds."""

    @property
    def time(self) -> str:
        """Seconds as text."""
        return f"{'> ' if self.at_least else ''}{self.seconds:.0f}"

    @property
    def real_time(self) -> str:
        """Seconds of audio a second, as text."""
        return f"{'< ' if self.at_least else ''}{SECONDS / self.seconds:.2g}"


TABLE_I = (
    PaperQuality("Pop benchmark", 7.92, 6.26, 7.36, 7.61),
    PaperQuality("MusicGen", 7.99, 5.62, 7.99, 8.14),
    PaperQuality("Stable Audio Open", 7.54, 4.06, 6.84, 7.71),
    PaperQuality("OpenAI Jukebox", 5.30, 5.97, 4.83, 4.66),
    PaperQuality("SAMUeL", 5.73, 5.14, 2.93, 4.97),
)
TABLE_II = (
    Speed("OpenAI Jukebox", 5.0e9, 21_600.0, "lyrics, genre", at_least=True),
    Speed("Stable Audio Open", 1.2e9, 25.0, "text"),
    Speed("MusicGen large", 3.3e9, 1083.0, "vocals, text"),
    Speed("MusicGen small", 300e6, 236.0, "vocals, text"),
    Speed("SAMUeL", 15e6, 21.0, "vocals"),
)
