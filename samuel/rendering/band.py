"""A plan becomes the notes of its band: the players of `samuel.arranging`, a solo, and tracks of the score itself."""

from samuel.arranging.band import play_form
from samuel.arranging.form import Bar, Form, with_sections
from samuel.arranging.part import Part
from samuel.arranging.pen import Pen
from samuel.arranging.singing import Singing
from samuel.arranging.styles import LEADS
from samuel.rendering.plan import Plan


def play_plan(plan: Plan, seed: int) -> list[Part]:
    """All players that play at least one note."""
    form = form_of_plan(plan, seed)
    parts = [*play_form(form), _solo(form, plan), *_written_tracks(form, plan)]
    seconds = plan.end_seconds + 1
    return [part.tidied(seconds) for part in parts if part.notes]


def form_of_plan(plan: Plan, seed: int) -> Form:
    """The plan's bars; the last one is final. The singer is the melody where it is not a solo."""
    score, beats, time = plan.score, plan.score.metre.beats, plan.tempo.seconds
    singing = Singing.of_notes(
        (time(note.start), time(note.end), note.pitch)
        for note in score.melody
        if not plan.is_solo(note.start)
    )
    bars = []
    for number, level in enumerate(plan.intensity):
        start = float(number * beats)
        sung = singing.share(time(start), time(start + beats))
        bars.append(Bar(number, start, beats, level / 3, sung, final=number == plan.bars - 1))
    origin = int(score.melody[0].start // beats) if score.melody else 0
    return Form(
        style=plan.style,
        tempo=plan.tempo,
        division=score.metre.division,
        bars=with_sections(bars, origin),
        chords=score.chords,
        singing=singing,
        seed=seed,
    )


def _solo(form: Form, plan: Plan) -> Part:
    """The melody on an instrument where the plan gives the singer a rest."""
    pen = Pen(form, Part("solo", "other", 0, level=2.0))
    pen.part.program = pen.pick(LEADS)
    pen.part.pan = 0.6 * (float(pen.rng.random()) - 0.5)
    for note in plan.score.melody:
        if plan.is_solo(note.start):
            pen.play(note.start, note.end, note.pitch + 12 if note.pitch < 60 else note.pitch, 98)
    return pen.part


def _written_tracks(form: Form, plan: Plan) -> list[Part]:
    """Tracks of the score itself (POP909's piano), in about half of the songs that have them."""
    rng = form.rng("written")
    tracks = plan.score.accompaniment
    if not tracks or rng.random() < 0.4:
        return []
    players = []
    for index, (name, notes) in enumerate(tracks[:3]):
        others = (0, 4, 11, 24, 25, 46, 48, 73)
        program = 0 if "piano" in name.lower() else others[int(rng.integers(len(others)))]
        pen = Pen(
            form,
            Part(
                f"written {index + 1} {name.lower()}",
                "other",
                program,
                pan=(0.25, -0.35, 0.4)[index],
                level=-1.0,
            ),
        )
        for note in notes:
            pen.play(note.start, note.end, _into_range(note.pitch), 84)
        players.append(pen.part)
    return players


def _into_range(pitch: int) -> int:
    while pitch < 28:
        pitch += 12
    while pitch > 96:
        pitch -= 12
    return pitch
