"""musicnn's network in torch against its own in TensorFlow."""

import numpy as np
import torch

from samuel.evaluation.musicnn import DIMENSIONS, TAGS, Musicnn
from tests.evaluation import signals


def test_it_is_the_network_that_was_trained() -> None:
    """The expected figures come from TensorFlow 2 with musicnn 0.1.0's checkpoint, on this very input."""
    time, band = np.arange(187)[:, None], np.arange(96)[None]
    mel = (1.5 + np.sin(0.13 * time + 0.05 * band) + 0.5 * np.cos(0.7 * band * (1 + time / 187))).clip(0)
    network = Musicnn()
    embedding = network.layers(torch.from_numpy(mel.astype(np.float32))[None])
    expected = [-0.17497317, -0.08471090, -0.81622535, -1.95e-05, -0.15520704, -0.08471090, -0.77554965]
    np.testing.assert_allclose(embedding[0, ::32][:7], expected, rtol=1e-3, atol=1e-5)
    likely = [0.05594237, 0.02406014, 0.03170444, 0.08832812, 0.5612414, 0.02223987, 0.23256096, 0.01750756]
    np.testing.assert_allclose(network.tags(embedding)[0, :8], likely, rtol=1e-3)
    assert len(TAGS) == network.tags(embedding).shape[1]


def test_a_vector_for_each_three_seconds_whatever_else_is_there() -> None:
    network = Musicnn()
    audio = signals.band(7.0)
    embedding = network.embed(audio)
    assert embedding.shape == (2, DIMENSIONS)
    torch.testing.assert_close(embedding[:1], network.embed(audio[:, : 4 * 44_100]), rtol=1e-4, atol=1e-5)
    assert network.embed(audio[:, :1000]).shape == (0, DIMENSIONS)
