"""SmolLM2 as the course keeps it: converted once, all or nothing; and the lists of the film shop."""

import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from advrec_teach import data, filmshop, smollm
from advrec_teach.errors import CourseError

FILES = [smollm.CONFIG, smollm.WEIGHTS, smollm.TOKENIZER]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Return a data folder of its own with the model's GGUF file in it, as a link."""
    (tmp_path / "smollm2").mkdir()
    source = data.smollm2_path()
    (tmp_path / "smollm2" / source.name).symlink_to(source)
    monkeypatch.setenv("ADVREC_DATA", str(tmp_path))
    return tmp_path / "smollm2"


def test_a_conversion_is_made_once_and_whole(elsewhere):
    folder = smollm.model_path()
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    times = [(folder / name).stat().st_mtime_ns for name in FILES]
    assert smollm.model_path() == folder and times == [(folder / name).stat().st_mtime_ns for name in FILES]
    config = json.loads((folder / smollm.CONFIG).read_text())
    assert config["rms_norm_eps"] == 1e-5 and config["rope_parameters"]["rope_theta"] == 100000.0
    (folder / smollm.WEIGHTS).unlink()  # half a folder is made anew
    assert smollm.model_path() == folder and (folder / smollm.WEIGHTS).is_file()
    assert [p.name for p in elsewhere.iterdir() if p.name.startswith(".")] == []


def test_a_full_disk_leaves_nothing(elsewhere, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CourseError, match="No space left") as caught:
        smollm.model_path()
    assert "\n" not in str(caught.value)
    assert [p.name for p in elsewhere.iterdir()] == [data.smollm2_path().name]


@pytest.mark.parametrize("size", [0, 10, 4096, 2_000_000, 60_000_000])
def test_a_file_that_was_cut_off_is_named(elsewhere, size):
    path = data.smollm2_path()
    with path.open("rb") as stream:
        start = stream.read(size)
    path.unlink()
    path.write_bytes(start)
    with pytest.raises(CourseError, match="damaged") as caught:
        smollm.model_path()
    assert "\n" not in str(caught.value)
    assert [p.name for p in elsewhere.iterdir()] == [path.name]


def test_without_the_file_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVREC_DATA", str(tmp_path))
    with pytest.raises(CourseError, match="advrec data smollm2"):
        smollm.model_path()


@pytest.mark.pytorch
def test_weights_and_tokens_are_those_that_transformers_reads(monkeypatch):
    from safetensors.numpy import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, folder = data.smollm2_path(), smollm.model_path()
    ours = load_file(folder / smollm.WEIGHTS)
    theirs = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    weights = {name: value.numpy() for name, value in theirs.state_dict().items() if name != "lm_head.weight"}
    assert set(ours) == set(weights)
    for name, weight in weights.items():
        np.testing.assert_array_equal(ours[name], weight.astype(np.float16), err_msg=name)
    tokens = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    for text in ("A viewer loved Fargo, didn't they?", "Œuvre  von\n\tDvořák: 你好", " seen and loved everywhere"):
        assert smollm.encode(text) == tokens.encode(text, add_special_tokens=False)


def test_texts_are_tokens_and_back():
    text = "Se7en (1995), Élisa\n<|im_end|> 100 %"
    ids = smollm.encode(text)
    assert smollm.decode(ids) == text
    assert smollm.encode("1995") == [smollm.encode(digit)[0] for digit in "1995"]
    end = smollm.tokenizer().token_to_id("<|im_end|>")
    assert end not in ids and end in smollm.encode(text, marks=True)
    assert end not in smollm.encode(text)
    with pytest.raises(ValueError, match="empty"):
        smollm.encode("")


def test_plain_words_are_read_back_as_they_are():
    words = smollm.plain_words()
    assert len(words) > 10_000 and (np.diff(words) > 0).all()
    rng = np.random.default_rng(0)
    for _ in range(50):
        chosen = rng.choice(words, 4)
        text = smollm.decode(chosen)
        assert re.fullmatch("( [a-z]{3,}){4}", text)
        assert smollm.encode(" Hard Rain" + text)[2:] == chosen.tolist()


# --- the film shop


@pytest.mark.parametrize("source", ["real", "synthetic"])
def test_lists_hold_one_liked_film_and_popular_ones_that_nobody_rated(source):
    movies = data.movielens(source)
    lists = filmshop.film_lists(movies, n_users=12, length=4, size=8, pool=60, seed=3)
    assert len(lists) == 12 and lists.histories.shape == (12, 4) and lists.candidates.shape == (12, 8)
    counts = np.bincount(movies.ratings["item"].to_numpy(), minlength=movies.n_items)
    least = np.sort(counts)[-60]
    for user, history, films in zip(lists.users, lists.histories, lists.candidates, strict=True):
        own = movies.ratings.filter(user=int(user))
        liked = set(own.filter(own["rating"] >= 4)["item"])
        assert {*history.tolist(), int(films[0])} <= liked and films[0] not in history
        assert not set(films[1:].tolist()) & set(own["item"])
        assert len(set(films.tolist())) == 8 and counts[films].min() >= least
    again = filmshop.film_lists(movies, n_users=12, length=4, size=8, pool=60, seed=3)
    np.testing.assert_array_equal(lists.candidates, again.candidates)
    part = lists.part(slice(2, 5))
    np.testing.assert_array_equal(part.users, lists.users[2:5])
    with pytest.raises(CourseError, match="Only"):
        filmshop.film_lists(movies, n_users=10_000)


def test_titles_read_as_one_says_them():
    titles = filmshop.film_titles(data.movielens())
    assert {"The Empire Strikes Back", "Seven", "Mission: Impossible", "A Fish Called Wanda"} <= set(titles)
    assert not any("(" in title or title.endswith(", The") for title in titles)
