"""A file's first audio stream as frames of stereo samples: what FFmpeg reads, through PyAV.

What FFmpeg hides is added here: the time of streams that have no time stamps, the beginning of those whose clock
does not begin at 0, and what a file lacks of the length that it declares.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from math import sqrt

import av
import numpy as np
from av.stream import Disposition

from samuel.audio import adts
from samuel.audio.declared_length import declared_bytes, mp3_seconds
from samuel.audio.joined import Readable
from samuel.audio.timeline import JITTER_SECONDS, ByteClock, Frame, Tell
from samuel.config import AUDIO_CHANNELS

CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"
)
"""What is read. The list also keeps FFmpeg away from formats that open other files or addresses (playlists, concat
scripts, SDP), which a downloaded "song" could use to read from this machine."""

LENGTH_GUESSED = {"aac", "ac3", "amr", "dts", "eac3", "mp3", "mpeg", "mpegts"}
"""These carry no length: FFmpeg guesses it from the first frames' bit rate, up to ten times too long."""

UNTIMED = LENGTH_GUESSED - {"mpeg", "mpegts"}  # nor time stamps: FFmpeg counts what it finds
ANY_ORIGIN = {"mpeg", "mpegts"}  # their clock begins anywhere, that of other containers at 0
LATEST_START_SECONDS = 60.0  # sound that starts later was cut out of a stream, whose clock ran on
CHECKED = {"flac", "tta"}  # codecs with checksums: better a hole than a burst of noise
LEAST_SHORTFALL_SECONDS = 0.15  # encoders' padding is shorter
LEAST_CUT_BYTES = 4096  # headers are off by that without a loss
ONE_FILE = {"wav", "w64", "aiff", "caf"}  # their header says where they end

# Channel order of files that do not say theirs (WAV's order, by the number of channels).
DEFAULT_LAYOUTS = {
    1: "FC",
    2: "FL FR",
    3: "FL FR FC",
    4: "FL FR BL BR",
    5: "FL FR FC BL BR",
    6: "FL FR FC LFE BL BR",
    7: "FL FR FC LFE BC SL SR",
    8: "FL FR FC LFE BL BR SL SR",
}


class AudioError(ValueError):
    """A file that cannot be used as a song; the message says why."""


class _Bounded:
    """A file whose `seek` answers with an error code, as FFmpeg expects, where a damaged header leads astray."""

    def __init__(self, file: Readable) -> None:
        self.read, self.tell, self.seekable, self._seek = file.read, file.tell, file.seekable, file.seek

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return self._seek(offset, whence)
        except (ValueError, OverflowError):
            return -errno.EINVAL
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return -errno.EINVAL


@contextmanager
def open_audio(
    source: Readable, index: int = 0
) -> Iterator[tuple[av.container.InputContainer, av.AudioStream]]:
    """A file's container and its audio stream of that index."""
    try:
        options = {"format_whitelist": CONTAINERS}
        container = av.open(_Bounded(source), "r", options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        cut = _cut(source) if source.seekable() else ""
        raise AudioError(cut or "not audio: its content is in no known audio format") from error
    with container:
        if index >= len(container.streams.audio):
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            which = f" number {index + 1}" if index else ""
            raise AudioError(f"no audio stream{which}: a {container.format.name} file with {kinds} only")
        stream = container.streams.audio[index]
        if stream.codec_context.name in CHECKED:
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        yield container, stream


def frames_of(
    container: av.container.InputContainer, stream: av.AudioStream, file: Readable, tell: Tell
) -> Iterator[Frame]:
    """The stream's decoded frames, of a container that was opened from `file`, without damaged packets, at their times.

    After a change of rate there are none: time stamps count samples of the first. Raises AudioError, at the end,
    where most packets are damaged.
    """
    packets = container.demux(stream)
    untimed = container.format.name in UNTIMED
    first_rate = stream.rate
    clock = ByteClock(adts.gaps(file) if container.format.name == "aac" and file.seekable() else ())
    good = bad = 0
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # keep what came before
            tell("damaged: its container breaks off; what comes after cannot be read")
            break
        if packet is None:
            break
        try:
            frames = packet.decode()
        except av.FFmpegError:
            bad += 1
            if untimed:
                clock.damaged(bytes(packet), packet.pos)
            elif not good and packet.pts is not None and first_rate:  # a hole at the beginning
                nothing = np.zeros((0, AUDIO_CHANNELS), np.float32)
                yield Frame(nothing, first_rate, float(packet.pts * packet.time_base))
            continue
        good += 1
        for frame in frames:
            if not frame.samples:
                continue
            samples, rate = _stereo(frame), frame.sample_rate
            start = None
            if untimed:
                start = clock.sounded(packet.size, len(samples) / rate)
            elif frame.pts is not None and rate == first_rate:
                start = float(frame.pts * (frame.time_base or 0))
            yield Frame(samples, rate, start)
    if bad > good:
        raise AudioError(f"damaged: {bad} of its {good + bad} packets cannot be decoded")


def late_start(container: av.container.InputContainer, stream: av.AudioStream) -> float:
    """Seconds from the beginning of a file, as its other streams or its clock have it, to that of its sound."""
    kind = container.format.name
    if kind in UNTIMED or stream.start_time is None or stream.time_base is None:
        return 0.0
    late = float(stream.start_time * stream.time_base)
    if kind in ANY_ORIGIN or late > LATEST_START_SECONDS:
        late -= (container.start_time or 0) / av.time_base
    return late if JITTER_SECONDS < late <= LATEST_START_SECONDS else 0.0


def declared_seconds(container: av.container.InputContainer) -> float | None:
    """How long a file says it is, from its beginning; None where it says nothing. It may be a guess."""
    if container.duration is None:
        return None
    start = (container.start_time or 0) / av.time_base
    ran_on = start if container.format.name.startswith("matroska") and start > LATEST_START_SECONDS else 0.0
    return container.duration / av.time_base - ran_on


def shortfall(
    file: Readable,
    container: av.container.InputContainer,
    stream: av.AudioStream,
    seconds: float,
    tolerance: float = 0.0,
    least_seconds: float = LEAST_SHORTFALL_SECONDS,
) -> str:
    """In a sentence, what is wrong with a file whose sound lasts `seconds`, by what it declares of its length.

    Less than `tolerance` of that, or `least_seconds`, is nothing.
    """
    kind, seekable = container.format.name, file.seekable()
    if seekable:
        if cut := _cut(file, tolerance):
            return cut
        wanted, there = declared_bytes(file) or 0, file.seek(0, 2)
        more = there - wanted if wanted else 0
        if kind.startswith("mov,") and more > max(LEAST_CUT_BYTES, tolerance * there):
            return f"damaged: after {wanted} bytes it is no MP4 any more; {more} bytes are not used"
        if kind in ONE_FILE and more > there / 20:
            return f"it goes on for {more} bytes after its end; are these several files in one? The first is used"
    declared = None
    moving = [video for video in container.streams.video if not video.disposition & Disposition.attached_pic]
    if kind == "mp3" and seekable:
        declared = mp3_seconds(file)
    elif kind not in LENGTH_GUESSED and stream.duration is not None and stream.time_base is not None:
        declared = float(stream.duration * stream.time_base)
    elif kind not in LENGTH_GUESSED and not moving:
        declared = declared_seconds(container)
    if declared is not None and declared - seconds > max(least_seconds, tolerance * declared):
        return f"shorter than it says: its header says {declared:.1f} s, {seconds:.1f} s are there"
    return ""


def _cut(file: Readable, tolerance: float = 0.0) -> str:
    """In a sentence, the bytes that a file lacks by its header."""
    wanted, there = declared_bytes(file), file.seek(0, 2)
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    exact = start[4:] == b"ftyp" or start[:4] == b"OggS"  # a box or page that is begun must end
    if wanted is None or wanted - there <= (0 if exact else max(LEAST_CUT_BYTES, tolerance * wanted)):
        return ""
    return f"cut off: its header says {wanted} bytes, {there} are there"


def _stereo(frame: av.AudioFrame) -> np.ndarray:
    """One frame as float32 (samples, 2), folded down to stereo, full scale at 1."""
    samples = frame.to_ndarray()
    channels = len(frame.layout.channels)
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, channels)
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif np.issubdtype(samples.dtype, np.integer):
        samples = samples.astype(np.float32) / 2.0 ** (8 * samples.itemsize - 1)
    else:
        samples = samples.astype(np.float32)
    names = [channel.name for channel in frame.layout.channels]
    if "NONE" in names:
        if channels not in DEFAULT_LAYOUTS:
            raise AudioError(
                f"{channels} channels in no stated order; expected at most {max(DEFAULT_LAYOUTS)}"
            )
        names = DEFAULT_LAYOUTS[channels].split()
    if names == ["FL", "FR"]:
        return samples
    return samples @ _downmix(tuple(names))


def _downmix(names: tuple[str, ...]) -> np.ndarray:
    """Gains (channel, 2) by ITU-R BS.775-3, table 2: centre and surrounds at -3 dB, no LFE.

    Scaled down by the largest sum of gains, so that no input clips. A lone channel is doubled as it is.
    """
    if len(names) == 1:
        return np.ones((1, 2), np.float32)
    side = {"L": (1.0, 0.0), "R": (0.0, 1.0), "C": (1.0, 1.0)}
    gains = np.zeros((len(names), 2))
    for index, name in enumerate(names):
        if not name.startswith("LFE"):
            level = 1.0 if name in ("FL", "FR") else 0.5 if name == "BC" else sqrt(0.5)
            gains[index] = level * np.array(side[name[-1]])
    return (gains / max(1.0, gains.sum(0).max())).astype(np.float32)
