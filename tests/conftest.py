"""Shapes in signatures are checked at run time in the tests: jaxtyping's hook, with beartype."""

from jaxtyping import install_import_hook

install_import_hook("samuel", "beartype.beartype")
