"""How good accompaniments are, by numbers: of the sound, of how it follows the singer, of the whole set."""
