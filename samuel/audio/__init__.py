"""Recordings: encoded audio into samples and back, damage told and time kept; loudness and mixes.

`decode`, `write` and `probe` are the ways in.
"""

from samuel.audio.decoding import AudioError
from samuel.audio.files import (
    FILE_FORMATS,
    SILENCE_DBFS,
    AudioInfo,
    TooLong,
    decode,
    is_silent,
    missing_part,
    probe,
    resample,
    write,
)

__all__ = [
    "FILE_FORMATS",
    "SILENCE_DBFS",
    "AudioError",
    "AudioInfo",
    "TooLong",
    "decode",
    "is_silent",
    "missing_part",
    "probe",
    "resample",
    "write",
]
