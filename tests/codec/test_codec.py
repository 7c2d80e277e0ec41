import itertools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from stable_audio_tools.models.autoencoders import create_autoencoder_from_config

from samuel.codec import Codec, load_codec
from samuel.codec.codec import pieces_of
from samuel.codec.loaders import encode_mean, from_diffusers

FRAME = 2048


def oobleck_config(**changes):
    """Stable Audio Open's autoencoder, made small: same classes, strides and latents."""
    shared = {"channels": 4, "c_mults": [1, 2, 2, 2, 2], "strides": [2, 4, 4, 8, 8], "use_snake": True}
    model = {
        "encoder": {"type": "oobleck", "config": {"in_channels": 2, "latent_dim": 128, **shared}},
        "decoder": {
            "type": "oobleck",
            "config": {"out_channels": 2, "latent_dim": 64, "final_tanh": False, **shared},
        },
        "bottleneck": {"type": "vae"},
        "latent_dim": 64,
        "downsampling_ratio": FRAME,
        "io_channels": 2,
    }
    sample_rate = changes.pop("sample_rate", 44100)
    return {"model_type": "autoencoder", "sample_rate": sample_rate, "model": model | changes}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_autoencoder_from_config(oobleck_config()).eval()


@pytest.fixture
def folder(tmp_path, network) -> Path:
    (tmp_path / "model_config.json").write_text(json.dumps(oobleck_config()))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    return tmp_path


@pytest.fixture(scope="module")
def audio():
    return 0.2 * torch.randn(2, 2, 52 * FRAME + 100, generator=torch.Generator().manual_seed(1))


def test_latents_are_the_mean_of_the_bottleneck(folder, network, audio):
    codec = load_codec(folder)
    latents = codec.encode(audio[..., : 10 * FRAME])
    with torch.no_grad():
        mean, _ = network.encode(audio[..., : 10 * FRAME], skip_bottleneck=True).chunk(2, dim=1)
        decoded = network.decode(mean)
    assert latents.shape == (2, 64, 10)
    torch.testing.assert_close(latents, mean)
    torch.testing.assert_close(codec.decode(latents), decoded)
    assert torch.equal(codec.encode(audio[..., : 10 * FRAME]), latents)


def test_a_part_of_a_frame_is_a_frame(folder, audio):
    codec = load_codec(folder)
    latents = codec.encode(audio[..., : 3 * FRAME + 1])
    assert latents.shape[-1] == 4
    assert codec.decode(latents).shape == (2, 2, 4 * FRAME)
    with pytest.raises(ValueError, match="0 samples"):
        codec.encode(audio[..., :0])


def test_pieces_equal_the_whole(network, audio):
    def codec(piece_frames):
        return Codec(lambda x: encode_mean(network, x), network.decode, "oobleck", "cpu", piece_frames)

    whole, pieces = codec(1000), codec(36)
    latents = whole.encode(audio)
    torch.testing.assert_close(pieces.encode(audio), latents, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pieces.decode(latents), whole.decode(latents), rtol=1e-4, atol=1e-5)
    # 16060 samples on either side by the convolutions' arithmetic, and less is not enough
    assert 2 <= pieces.encoder_reach - 1 <= 8
    pieces._reach["encoder"] = 0
    assert not torch.allclose(pieces.encode(audio), latents, rtol=1e-3, atol=1e-4)


def test_audio_that_comes_in_blocks_has_the_latents_of_the_whole(network, audio):
    codec = Codec(lambda x: encode_mean(network, x), network.decode, "oobleck", "cpu", piece_frames=36)
    song, read = audio[:1].clone(), []

    def blocks():
        for block in song[0].split(3 * FRAME + 7, dim=1):
            read.append(block.shape[1])
            yield block

    parts = codec.encode_blocks(blocks(), song.shape[-1])
    first = next(parts)
    assert sum(read) < song.shape[-1]
    assert torch.equal(torch.cat([first, *parts], dim=1), codec.encode(song)[0])
    song[..., 30 * FRAME :] = 0
    early = codec.encode_blocks([song[0, :, : 30 * FRAME]], song.shape[-1])
    assert torch.equal(torch.cat(list(early), dim=1), codec.encode(song)[0])


def test_a_network_that_sees_everything_is_refused_in_pieces(audio):
    def everywhere(x):
        return (
            x.reshape(x.shape[0], 2, -1, FRAME)
            .mean(dim=(1, 2, 3))[:, None, None]
            .expand(-1, 64, x.shape[-1] // FRAME)
        )

    codec = Codec(everywhere, everywhere, "global@0", "cpu", piece_frames=32)
    with pytest.raises(ValueError, match="sees too far"):
        codec.encode(audio)


@pytest.mark.parametrize("frames", [30, 39, 40, 41, 42, 43, 60, 61, 400, 401])
@pytest.mark.parametrize("reach", [0, 5, 9])
def test_pieces_cover_the_song_and_overlap(frames, reach):
    pieces = pieces_of(frames, 40, reach)
    assert pieces[0][0] == 0
    assert pieces[-1][1] == frames
    assert all(start % 2 == 0 and end - start <= 41 for start, end in pieces)
    for (start, end), (following, _) in itertools.pairwise(pieces):
        assert start < following <= end - 2 * reach


@pytest.mark.parametrize("prefix", ["", "pretransform.model.", "autoencoder.", "autoencoder_ema.ema_model."])
def test_checkpoints_of_every_kind(tmp_path, network, audio, prefix):
    config = oobleck_config()
    if prefix == "pretransform.model.":
        config["model"] = {
            "pretransform": {"type": "autoencoder", "config": config["model"]},
            "diffusion": {},
        }
    weights = {prefix + key: value for key, value in network.state_dict().items()}
    torch.save({"state_dict": weights | {"other.weight": torch.zeros(1)}}, tmp_path / "big.ckpt")
    (tmp_path / "model_config.json").write_text(json.dumps(config))
    codec = load_codec(tmp_path / "big.ckpt")
    clip = audio[..., : 4 * FRAME]
    torch.testing.assert_close(codec.encode(clip), encode_mean(network, clip).detach())
    assert codec.identity.startswith("big@")


def test_diffusers_names_are_the_same_network(tmp_path, audio):
    import diffusers

    torch.manual_seed(0)
    theirs = diffusers.AutoencoderOobleck(
        encoder_hidden_size=128,  # of the first layer, and of mean and scale together
        decoder_channels=4,
        decoder_input_channels=64,
        channel_multiples=[1, 1, 1, 1, 1],
        downsampling_ratios=[2, 4, 4, 8, 8],
    ).eval()
    # at creation snake is nearly the identity: make every parameter matter
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter).abs() * parameter.sign())
    settings = dict(theirs.config) | {"_class_name": "AutoencoderOobleck"}
    config, weights = from_diffusers(settings, theirs.state_dict())
    assert config["model"]["downsampling_ratio"] == FRAME
    theirs.save_pretrained(tmp_path)
    codec = load_codec(tmp_path)
    clip = audio[:1, :, : 2 * FRAME]
    with torch.no_grad():
        expected = theirs.encode(clip).latent_dist.mean
        torch.testing.assert_close(codec.encode(clip), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            codec.decode(expected), theirs.decode(expected).sample, rtol=1e-4, atol=1e-5
        )
    assert len(weights) == len(theirs.state_dict()) == 365


def test_identity_follows_the_weights(folder, network):
    first = load_codec(folder).identity
    changed = {key: value + 0.01 for key, value in network.state_dict().items()}
    save_file(changed, folder / "model.safetensors")
    second = load_codec(folder).identity
    name, digest = first.split("@")
    assert name == folder.name
    assert len(digest) == 12
    assert second.split("@")[0] == name
    assert second != first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate": 48000}, "sample_rate 44100, received 48000"),
        ({"io_channels": 1}, "io_channels 2, received 1"),
        ({"latent_dim": 32}, "latent_dim 64, received 32"),
        ({"downsampling_ratio": 1024}, "downsampling_ratio 2048, received 1024"),
    ],
)
def test_other_formats_are_refused(folder, changes, message):
    (folder / "model_config.json").write_text(json.dumps(oobleck_config(**changes)))
    with pytest.raises(ValueError, match=message):
        load_codec(folder)


def test_missing_parts_are_named(folder, network):
    with pytest.raises(ValueError, match='expected "mini"'):
        load_codec(folder / "nowhere")
    save_file({"encoder.layers.0.bias": torch.zeros(4)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match="belongs to another config"):
        load_codec(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="found none"):
        load_codec(folder)
    torch.save(network.state_dict(), folder / "model.ckpt")
    (folder / "model_config.json").unlink()
    with pytest.raises(ValueError, match="config is missing"):
        load_codec(folder / "model.ckpt")


def test_without_the_hub_the_error_says_how_to_get_access(monkeypatch, tmp_path):
    import huggingface_hub

    def refuse(*_):
        raise huggingface_hub.errors.LocalEntryNotFoundError("offline")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(ValueError, match=r"accept its licence.*HF_TOKEN.*pass its path"):
        load_codec("stable-audio-open")
