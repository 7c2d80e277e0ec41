"""The players of a band, in the order of a score."""

from collections.abc import Callable

from samuel.arranging.answers import answers
from samuel.arranging.bass import bass
from samuel.arranging.chords import chords, pad, second_chords
from samuel.arranging.drums import drums
from samuel.arranging.form import Form
from samuel.arranging.part import Part

PLAYERS: dict[str, Callable[[Form], Part]] = {
    "drums": drums,
    "bass": bass,
    "chords": chords,
    "second chords": second_chords,
    "pad": pad,
    "answers": answers,
}


def play_form(form: Form) -> list[Part]:
    """The players that play at least one note; what one plays does not depend on the others."""
    return [part for player in PLAYERS.values() if (part := player(form)).notes]
