"""Entry points: the only code that imports Ray."""
