"""Scores become songs with true stems: a synthetic singer and a sampled band.

The flow, in the order of the modules:

    library.py      a folder or archive of scores -> one score file at a time
    lead_sheet.py   MusicXML lead sheet -> Score      midi_score.py   MIDI with a melody track -> Score
    score.py        the Score: melody, chords, metre and key, in beats
    plan.py         Score + random draws -> form, key, tempo, style: what will be played
    timing.py       beats -> seconds
    band.py         plan -> notes of drums, bass and the rest, from the patterns in styles.py
    soundfont.py    notes -> audio, by a SoundFont synthesiser
    singer.py       melody -> control curves (pitch, vowels, consonants, breath)
    voice.py        control curves -> audio, by a source and a filter
    mixing.py       room, balance, loudness
    song.py         all of it: `render_song`, and the stems folder on disk
"""
