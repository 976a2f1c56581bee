"""The course's own sentences, and the readers of public sets on files of their form."""

import pytest

from advrec_teach import domains
from advrec_teach.errors import CourseError

FILES = {
    "product": {"test.csv": '"2","Fine","Works, well"\n"1","Bad","Broke"\n'},
    "film": {"rt-polarity.pos": "good film\n", "rt-polarity.neg": "bad film\n\n"},
    "news": {
        "affectivetext_test.xml": '<corpus>\n<instance id="1">Joy</instance>\n<instance id="2">Storm</instance>\n'
        '<instance id="3">Report</instance>\n</corpus>\n',
        "affectivetext_test.valence.gold": "1 40\n2 -60\n3 0\n",
    },
    "music": {
        "Digital_Music_5.json": '{"overall": 5.0, "reviewText": "great"}\n{"overall": 1.0, "reviewText": "awful"}\n'
        '{"overall": 3.0, "reviewText": "so so"}\n{"overall": 4.0}\n'
    },
    "service": {"Tweets.csv": "tweet_id,airline_sentiment,text\n1,positive,thanks\n2,negative,late\n3,neutral,hm\n"},
    "finance": {"Sentences_AllAgree.txt": "Profit rose .@positive\nLoss grew .@negative\nIt is a firm .@neutral\n"},
}


@pytest.mark.parametrize("domain", domains.DOMAINS)
def test_own_sentences(domain):
    frame = domains.sentences(domain)
    assert frame.schema == domains.SCHEMA
    assert frame.height == frame["text"].n_unique() == 30
    assert frame["label"].sum() == 15


@pytest.mark.parametrize("domain", domains.DOMAINS)
def test_public_sets(domain, tmp_path):
    with pytest.raises(CourseError, match="download it there"):
        domains.public(domain, tmp_path)
    for name, text in FILES[domain].items():
        (tmp_path / name).write_text(text, encoding="latin-1")
    frame = domains.public(domain, tmp_path)
    assert frame.schema == domains.SCHEMA
    assert sorted(frame["label"]) == [0, 1]
    # Lines of plain text have no form that could be wrong: an empty file is one without a class.
    wrong = "" if domain == "film" else "nothing, of, this, form\n"
    for name in FILES[domain]:
        (tmp_path / name).write_text(wrong, encoding="latin-1")
    with pytest.raises(CourseError):
        domains.public(domain, tmp_path)


def test_an_unknown_domain():
    for call in (domains.sentences, lambda name: domains.public(name, ".")):
        with pytest.raises(CourseError, match="domain is one of"):
            call("sport")
