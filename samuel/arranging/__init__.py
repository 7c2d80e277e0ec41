"""The band by rules: a lead sheet becomes the notes of its players, their sound and a MIDI file.

    arrange(sheet, seconds=..., voice=...)   LeadSheet (and voice) -> Arrangement, the players' notes
    render(arrangement, synthesiser)         Arrangement -> stems: drums, bass, other, float32 (2, samples)
    render_band(arrangement, synthesiser)    their sum; `band_blocks` gives it as it is played
    play(sheet, seconds=...)                 arrange and render_band in one
    write_stems(arrangement, ...)            the same as files, block by block: memory does not grow with the length
    write_midi(arrangement, path)            tracks, tempo map, metre, key, chord names
    SoundFontSynthesiser(path)               the instruments, each unpacked when first played: keep it

The same input gives the same notes everywhere and, with one soundfont, the same samples on one machine. What a player
plays in a bar depends on nothing after that bar but the recording's length, its voice and its energy: a chord that is
changed changes nothing before its bar.

In the order of the flow:

    singing.py    a voice's features -> phrases, rests, register
    styles.py     what each player plays in a bar, as step patterns, for any metre
    tempo.py      beats -> seconds
    form.py       lead sheet -> bars, chords in beats, sections, energy: what all players share
    pen.py        a player's hand: small inaccuracies, streams of random numbers
    drums.py bass.py voicing.py chords.py answers.py      the players
    band.py       all of them
    calm.py       the band where nobody knows the beat
    arrangement.py   `arrange`
    presets.py    one instrument out of a SoundFont file
    soundfont.py  notes -> audio
    mastering.py  rooms, faders, limiter
    filters.py    high-pass and low-pass, block by block
    sound.py      `render`, `render_band`, `play`, `write_stems`
    midi.py       `write_midi`
"""

from samuel.arranging.arrangement import PARTS, Arrangement, arrange, part_levels, part_names
from samuel.arranging.midi import write_midi
from samuel.arranging.part import STEMS, Part, PlayedNote
from samuel.arranging.sound import band_blocks, play, render, render_band, write_stems
from samuel.arranging.soundfont import SoundFontSynthesiser
from samuel.arranging.styles import STYLES

__all__ = [
    "PARTS",
    "STEMS",
    "STYLES",
    "Arrangement",
    "Part",
    "PlayedNote",
    "SoundFontSynthesiser",
    "arrange",
    "band_blocks",
    "part_levels",
    "part_names",
    "play",
    "render",
    "render_band",
    "write_midi",
    "write_stems",
]
