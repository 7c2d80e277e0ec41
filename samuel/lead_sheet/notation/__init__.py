"""What MIDI and MusicXML files say, as it is written: for lead sheets, and for the songs that are rendered.

midi.py           tracks, texts, keys, tempi and time signatures, with time in quarters
musicxml.py       parts of measures, and the order in which they are played
chord_symbols.py  <harmony> -> the notes of a chord
repeats.py        repeats, endings, da capo, dal segno, fine and coda
xml_text.py       text and numbers of XML elements
written.py        a note, a time signature, and the error of all of them
"""
