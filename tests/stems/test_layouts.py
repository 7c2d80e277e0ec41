"""Which files are the stems of a song: the layouts of data sets and tools, as lists of names."""

import pytest

from samuel.stems.layouts import Found, StemsSong, find_stems
from samuel.stems.names import named, song_name


def only(found: Found) -> StemsSong:
    assert len(found.songs) == 1
    assert found.taken == set(found.songs[0].files)
    return found.songs[0]


def below(folder: str, *names: str) -> list[str]:
    return [f"{folder}/{name}" for name in names]


@pytest.mark.parametrize(
    ("name", "role", "song"),
    [
        ("vocals.wav", "voice", ""),
        ("16_LeadVoxDT.wav", "voice", ""),
        ("backing_vocals.flac", "voice", ""),
        ("BGVs.wav", "voice", ""),
        ("no_vocals.wav", "whole", ""),
        ("Instrumental.mp3", "whole", ""),
        ("07_ElecGtr1DI.wav", "instrument", ""),
        ("Vox Organ.wav", "instrument", ""),
        ("other_keys", "instrument", ""),
        ("full_mix.wav", "mix", ""),
        ("1_Song_(Vocals).wav", "voice", "1 song"),
        ("Guitar Man_(Instrumental).wav", "whole", "guitar man"),
        ("Song_(No Vocals)_model.wav", "whole", "song model"),
        ("Back in Black - vocals.wav", "voice", "back in black"),
        ("Song_no_vocals_split_by_lalalai.mp3", "whole", "song"),
        ("Queen - Bohemian Rhapsody.mp3", None, "queen bohemian rhapsody"),
        ("1979.mp3", None, "1979"),
        ("S00.flac", None, "s 00"),
    ],
)
def test_what_a_name_says(name: str, role: str | None, song: str) -> None:
    assert (named(name).role, named(name).song) == (role, song)


def test_musdb18_and_demucs() -> None:
    stems = below("train/A - B", "bass.wav", "drums.wav", "mixture.wav", "other.wav", "vocals.wav")
    song = only(find_stems(stems))
    assert (song.place, song.voices) == ("train/A - B", ("train/A - B/vocals.wav",))
    assert song.accompaniment == tuple(below("train/A - B", "bass.wav", "drums.wav", "other.wav"))
    two = only(find_stems(below("htdemucs/Song", "vocals.mp3", "no_vocals.mp3")))
    assert two.accompaniment == ("htdemucs/Song/no_vocals.mp3",)


def test_one_file_of_several_streams() -> None:
    song = only(find_stems(["test/A - B.stem.mp4"]))
    assert (song.place, song.files) == ("test/A - B.stem.mp4", ("test/A - B.stem.mp4",))


def test_dsd100_has_its_mixtures_elsewhere() -> None:
    stems = below("Sources/Dev/001 - A", "bass.wav", "drums.wav", "other.wav", "vocals.wav")
    found = find_stems([*stems, "Mixtures/Dev/001 - A/mixture.wav", "Mixtures/Dev/002 - B/mixture.wav"])
    assert [song.place for song in found.songs] == ["Sources/Dev/001 - A"]
    assert found.mixes == ["Mixtures/Dev/001 - A/mixture.wav"]
    assert "Mixtures/Dev/002 - B/mixture.wav" not in found.taken


def test_moisesdb_has_a_folder_a_stem() -> None:
    files = ["id/vocals/1.wav", "id/vocals/2.wav", "id/bass/3.wav", "id/other_keys/4.wav", "id/drums/5.wav"]
    song = only(find_stems(files, ["id/data.json"]))
    assert (song.place, song.voices) == ("id", ("id/vocals/1.wav", "id/vocals/2.wav"))
    assert set(song.accompaniment) == {"id/bass/3.wav", "id/other_keys/4.wav", "id/drums/5.wav"}
    instrumental = find_stems(["id/bass/3.wav", "id/drums/5.wav"])
    assert (instrumental.songs, instrumental.no_voice) == ([], ["id"])
    assert instrumental.taken == {"id/bass/3.wav", "id/drums/5.wav"}


def test_folders_of_stems_with_the_same_names() -> None:
    names = ["a.wav", "b.wav"]
    found = find_stems([*below("vocals", *names, "c.wav"), *below("drums", *names), *below("bass", *names)])
    assert [(song.place, song.accompaniment) for song in found.songs] == [
        ("vocals/a.wav", ("bass/a.wav", "drums/a.wav")),
        ("vocals/b.wav", ("bass/b.wav", "drums/b.wav")),
    ]
    assert found.alone == ["vocals/c.wav"]


def test_slakh_has_no_voices() -> None:
    files = ["T1/mix.flac", *below("T1/stems", "S00.flac", "S01.flac")]
    for audio in (files, [file.removeprefix("T1/") for file in files]):
        found = find_stems(audio, ["T1/all_src.mid", "T1/MIDI/S00.mid"])
        assert found.songs == []
        assert found.taken == set(audio)
        assert found.no_voice == ["T1/stems" if "T1" in audio[0] else "stems"]
        assert found.mixes == [audio[0]]


def test_medleydb_needs_its_metadata() -> None:
    stems = below("A_B/A_B_STEMS", "A_B_STEM_01.wav", "A_B_STEM_02.wav")
    rest = ["A_B/A_B_MIX.wav", "A_B/A_B_RAW/A_B_RAW_01_01.wav"]
    song = only(find_stems([*stems, *rest], ["A_B/A_B_METADATA.yaml"]))
    assert (song.place, song.metadata, song.unknown) == ("A_B", "A_B/A_B_METADATA.yaml", tuple(stems))
    without = find_stems([*stems, *rest])
    assert (without.songs, without.no_voice) == ([], ["A_B/A_B_STEMS"])
    assert without.taken == {*stems, *rest}


def test_cambridge_mt_names_its_tracks() -> None:
    names = ["01_Kick.wav", "02_SnareUp.wav", "05_Overheads.wav", "07_ElecGtr1DI.wav", "12_Zither.wav"]
    song = only(find_stems(below("A_B_Full", *names, "15_LeadVox.wav", "16_BackingVox1.wav")))
    assert song.voices == tuple(below("A_B_Full", "15_LeadVox.wav", "16_BackingVox1.wav"))
    assert song.unknown == ("A_B_Full/12_Zither.wav",)
    assert len(song.accompaniment) == 4


def test_ccmixter_has_the_voice_second() -> None:
    song = only(find_stems(below("A - B", "mix.wav", "source-01.wav", "source-02.wav")))
    assert (song.voices, song.accompaniment) == (("A - B/source-02.wav",), ("A - B/source-01.wav",))


def test_stems_side_by_side() -> None:
    names = ["1_Song_(Vocals).wav", "1_Song_(Instrumental).wav", "Song 2 (Vocals).wav", "Song 2 (Drums).wav"]
    found = find_stems(
        [*names, "1_Song.wav", "A - Title.mp3", "Alone (Vocals).wav", "A - Title (Instrumental).mp3"]
    )
    assert [(song.place, song.accompaniment) for song in found.songs] == [
        ("1_Song_(Vocals).wav", ("1_Song_(Instrumental).wav",)),
        ("Song 2 (Vocals).wav", ("Song 2 (Drums).wav",)),
    ]
    assert found.mixes == ["1_Song.wav"]
    assert found.alone == ["Alone (Vocals).wav"]
    assert not found.taken & {"A - Title.mp3", "A - Title (Instrumental).mp3"}


def test_a_folder_of_stems_within_the_songs() -> None:
    found = find_stems(["Song/Song.wav", *below("Song/stems", "vocals.wav", "drums.wav")])
    assert [song.place for song in found.songs] == ["Song/stems"]
    assert found.mixes == ["Song/Song.wav"]


def test_songs_are_no_stems() -> None:
    """Titles with a role's words in them, in folders with a role's name."""
    songs = [
        "All About That Bass.mp3",
        "Piano Man.mp3",
        "Rap God.mp3",
        "Voices.mp3",
        "The Voice.mp3",
        "Drums.mp3",
    ]
    songs += [
        "01 - Track.flac",
        "Track 01.wav",
        "Track 02.wav",
        "Live/Vocal Jazz.mp3",
        "Bass/A - B.mp3",
        "Bass/C.mp3",
    ]
    found = find_stems(songs)
    assert (found.songs, found.taken) == ([], set())


def test_instruments_alone_are_no_songs() -> None:
    found = find_stems([*below("a", "drums.wav", "bass.wav", "other.wav"), "b/Title.mp3"])
    assert found.no_voice == ["a"]
    assert found.taken == set(below("a", "drums.wav", "bass.wav", "other.wav"))


def test_stems_of_services_and_in_other_languages() -> None:
    tail = "-Cmaj-120bpm-440hz.wav"
    moises = only(find_stems([f"Song-{stem}{tail}" for stem in ("vocals", "drums", "bass", "other")]))
    assert (moises.voices, len(moises.accompaniment)) == ((f"Song-vocals{tail}",), 3)
    for names in (
        ("Gesang.wav", "Schlagzeug.wav", "Bass.wav"),
        ("voz.wav", "bateria.wav", "bajo.wav"),
        ("вокал.wav", "барабаны.wav", "бас.wav"),
    ):
        song = only(find_stems(below("Song", *names)))
        assert (song.voices, len(song.accompaniment)) == ((f"Song/{names[0]}",), 2)
    assert only(find_stems(below("Песня", "вокал.wav", "минус.wav"))).accompaniment == ("Песня/минус.wav",)


def test_songs_of_uvr_that_are_called_as_stems_are_and_whose_mix_is_beside() -> None:
    files = [
        f"{song}_({part})_model.wav" for song in ("1_Song", "2_Other") for part in ("Vocals", "Instrumental")
    ]
    found = find_stems([*files, "Song.mp3"])
    assert [(len(song.voices), len(song.accompaniment)) for song in found.songs] == [(1, 1), (1, 1)]
    assert found.mixes == ["Song.mp3"]


def test_namesakes_in_folders_of_instruments_are_stems_of_one_song() -> None:
    files = ["vocals/a.wav", "vocals/b.wav", "drums/1.wav", "percussion/1.wav", "bass/1.wav"]
    song = only(find_stems(below("Song", *files)))
    assert (len(song.voices), len(song.accompaniment)) == (2, 3)


@pytest.mark.parametrize(
    ("mix", "is_one"),
    [
        ("Song.mp3", True),
        ("music/Song.mp3", False),  # elsewhere, and a name that many songs have
        ("Other.mp3", False),
    ],
)
def test_a_mix_above_its_stems_is_no_song(mix: str, is_one: bool) -> None:
    stems = below("separated/htdemucs/Song", "vocals.wav", "no_vocals.wav")
    found = find_stems([mix, *stems])
    assert [song.place for song in found.songs] == ["separated/htdemucs/Song"]
    assert found.mixes == [mix] * is_one
    assert (mix in found.taken) == is_one


def test_a_mix_with_the_whole_name_of_its_stems_is_no_song_wherever_it_lies() -> None:
    mixes = ["in/Art Ist - Song.mp3", "Art_Ist_Song_Full_Preview.mp3"]
    found = find_stems([*mixes, *below("out/Art Ist - Song", "vocals.wav", "drums.wav")])
    assert set(found.mixes) == set(mixes)


def test_stems_of_one_song_by_two_models_are_one_song() -> None:
    names = ("vocals.wav", "drums.wav")
    found = find_stems([*below("a/htdemucs/Song", *names), *below("a/mdx_extra/Song", *names)])
    assert [song.place for song in found.songs] == ["a/htdemucs/Song"]
    assert found.again == ["a/mdx_extra/Song"]
    albums = find_stems([*below("a/One/Intro", *names), *below("a/Two/Intro", *names)])
    assert len(albums.songs) == 2


def test_medleydb_may_have_its_metadata_elsewhere() -> None:
    stems = below("Audio/A_B/A_B_STEMS", "A_B_STEM_01.wav", "A_B_STEM_02.wav")
    song = only(find_stems([*stems, "Audio/A_B/A_B_MIX.wav"], ["Metadata/A_B_METADATA.yaml"]))
    assert (song.place, song.metadata) == ("Audio/A_B", "Metadata/A_B_METADATA.yaml")


@pytest.mark.parametrize(
    ("stem", "title"),
    [
        ("2_1_Third Song_(Vocals)_(Htdemucs)", "Third Song"),
        ("Fo_(Vocals)_model_bs_roformer_ep_317_sdr_12.9755", "Fo"),
        ("1_Song_(Instrumental)", "Song"),
        ("99 Luftballons (Vocals)", "99 Luftballons"),
    ],
)
def test_what_the_song_is_called(stem: str, title: str) -> None:
    assert song_name(stem) == title
