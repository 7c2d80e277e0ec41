"""Which files of a folder are audio, by their names: what a listing tells without a file being opened."""

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath


def _names_in(text: str) -> frozenset[str]:
    return frozenset(text.split())


AUDIO_EXTENSIONS = _names_in(
    "mp3 mp2 mp1 mpa aac m4a m4b m4r mp4 m4v mov 3gp 3g2 f4a f4v ogg oga ogv opus spx flac wav wave bwf "
    "rf64 w64 webm weba mka mkv aif aiff aifc caf au snd wma wmv asf wv ape tta ac3 ec3 eac3 dts amr avi "
    "flv mpg mpeg vob ts mts m2ts"
)
"""Of the containers that `samuel.audio` decodes, what their files are called."""

UNREADABLE_AUDIO = _names_in(
    "dsf dff dsd sd2 mpc mp+ shn ra rm ram tak ofr vqf aa aax rx2 rex sph nist voc 8svx"
)
"""Audio that is not decoded here."""

COMPANIONS = _names_in(
    "txt md json yaml yml csv tsv xml html htm css js pdf rtf doc docx log nfo cue m3u m3u8 pls xspf lrc "
    "srt vtt sfv md5 sha1 sha256 url lnk ini db sqlite jpg jpeg png gif bmp webp tif tiff svg ico jams "
    "lab mid midi kar musicxml mxl xls xlsx ods odt py sh bat ipynb parquet npy npz pt pth h5 hdf5 pkl "
    "ds_store gitignore gitattributes part ytdl asd reapeaks peak pkf sfk"
)
"""What lies beside audio, and nobody would expect to be heard."""


def extension(name: str) -> str:
    return PurePosixPath(name).suffix[1:].lower()


def is_audio(name: str) -> bool:
    return extension(name) in AUDIO_EXTENSIONS


def is_hidden(name: str) -> bool:
    """Whether a path has a part that begins with a dot, as macOS' "._song.wav"."""
    return any(part.startswith(".") for part in name.split("/"))


def left_out(names: Iterable[str]) -> str:
    """What is neither audio by its name nor a companion of it, counted: "2 .dsf, 1 without extension"; "" if nothing."""
    counts = Counter(extension(name) for name in names if not is_audio(name) and not is_hidden(name))
    strange = [(kind, count) for kind, count in counts.most_common() if kind not in COMPANIONS]
    return ", ".join(f"{count} {'.' + kind if kind else 'without extension'}" for kind, count in strange[:12])
