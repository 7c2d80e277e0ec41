import copy

from samuel.evaluation.trial import AlignmentRun, Variation, fingerprint
from tests.generation.generators import generator


def test_another_decoder_of_the_same_latents_makes_what_was_kept_anew():
    variation = Variation("tiny", "", "mini", "draft", None, None)
    before, after = generator(), generator()
    assert fingerprint(before, variation, 10.0) == fingerprint(after, variation, 10.0)
    assert fingerprint(before, variation, 10.0) != fingerprint(before, variation, 11.0)
    after.codec = copy.copy(after.codec)
    after.codec.decoding += " anew"
    assert fingerprint(before, variation, 10.0) != fingerprint(after, variation, 10.0)
    names = [
        AlignmentRun("", (variation,), ("0",), {"mini": one.codec.decoding}, 10.0).codecs()
        for one in (before, after)
    ]
    assert [list(name.values()) for name in names] == [["mini"], ["mini"]]
    assert list(names[0]) != list(names[1])
