"""What a band is told: metre, beats, downbeats, chords with their bass, key, energy.

sheet.py        the type: times in seconds, validated
chord.py        a chord: Harte's labels, pitch classes
signatures.py   key and metre
chord_names.py  chords as musicians write them: F#m7b5, Bb/D, N.C.
text.py         "92 bpm, 4/4, A minor | Am | F | C G/B | %": charts and headings, both ways
notation/       what MIDI and MusicXML files say, as it is written
tempo_map.py    positions in a file to seconds
locks.py        what a user gives holds exactly; the rest is found around it
frames.py       the channels that a network sees, one column a latent frame
"""

from samuel.lead_sheet.sheet import LeadSheet, LeadSheetError

__all__ = ["LeadSheet", "LeadSheetError"]
