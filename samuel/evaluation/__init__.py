"""How good accompaniments are, by numbers: of the sound, of how it follows the singer, of the whole set.

features.py, musicnn.py, aesthetics.py, health.py     one recording, measured
record.py                                             all of these, kept
harmony.py, rhythm.py, dynamics.py, distribution.py   two of them compared: (reference, estimated)
metrics.py, agreement.py, scores.py                   scores of systems side by side: jobs/evaluate.py
samples.py, generators.py, efficiency.py, anchors.py  whose tracks: folders, systems, signals with foreseeable scores
report.py, examples.py, figures.py, paper.py          the report of these
reference.py, trial.py, proof.py                      a band against what is known of its song: jobs/prove.py
chosen.py, playing.py                                 the lead sheet that was chosen; what one hears being played
proof_report.py, proof_figures.py                     the report of these
statistics.py, tables.py                              means, intervals, Markdown
denoising.py                                          a network beside closed forms
"""
