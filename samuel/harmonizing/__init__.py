"""The harmonizer: a voice in, a lead sheet out. Tempo, beats, downbeats, key and chords, found around what is given.

accents.py          where the voice stresses: a curve over time
beat_network.py     onsets, level, changes of pitch -> how likely each frame is a beat, a downbeat (weights/)
beats.py            both -> a tempo that holds, beats, downbeats
sung.py, melody.py  the sung pitches on the grid of the beats
key.py              pitch classes -> key
network.py          what is sung, beat by beat -> chords and key (weights/)
chords.py           the likeliest path through the network's chords, and the next likely ones
harmonizer.py       all of it, in order
examples.py, singing.py, voices.py, *_training.py, training.py
                    what the networks learn from and how: jobs/train_harmonizer.py
melody_fit.py       how well chords carry a melody
"""

from samuel.harmonizing.harmonizer import find_lead_sheet

__all__ = ["find_lead_sheet"]
