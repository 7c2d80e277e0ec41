"""Scores become songs with true stems: a synthetic singer and a sampled band.

The flow, in the order of the modules:

    library.py      a folder or archive of scores -> one score file at a time
    midi_score.py, musicxml_score.py    what samuel.lead_sheet.notation reads of a file -> Score
    sung_track.py   which track is sung                    bars.py            where bars begin
    keys.py         which key it is in                     chord_estimate.py  chords, where none are written
    score.py        the Score: melody, chords, metre and key, in beats
    plan.py         Score + random draws -> form, key, tempo, style: what will be played
    timing.py       a tempo that drifts
    band.py         plan -> notes, by the players of samuel.arranging, which also makes them sound
    singer.py       melody -> control curves (pitch, vowels, consonants, breath)
    voice.py        control curves -> audio, by a source and a filter
    balance.py      drawn rooms and balances
    song.py         all of it: `render_song`, and the stems folder on disk
"""
