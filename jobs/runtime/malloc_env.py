"""How the C library of a worker keeps memory."""

KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_ARENA_MAX": "1",  # the heaps of further threads are too small for large blocks
}
"""Variables of the environment of a process that separates again and again on a CPU.

By default glibc maps each block of more than 32 MiB anew, and the system fills it with zeros, page by page: of
a separator's large activations that is a quarter of its time (90 s of audio, a core, Spleeter: 3.9 s, and 2.9 s
with these). The process holds some hundred MB more. Where the C library is another, they mean nothing.
"""
