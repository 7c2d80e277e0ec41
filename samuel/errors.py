"""Errors in words."""


def in_words(error: Exception) -> str:
    """What went wrong, in one line; with the error's kind, where its text was not written for users."""
    text = " ".join(str(error).split())
    return text if text and isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {text}"
