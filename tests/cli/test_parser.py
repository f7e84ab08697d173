import pytest

from tensornet_keras.cli.parser import EXPORT_FORMATS, OBJECTIVES, parser
from tensornet_keras.deployment import options
from tensornet_keras.deployment.export import FORMATS

CONVERT = ["convert", "in.keras", "out.keras", "--format", "tt"]


def parse(*words):
    return parser().parse_args(words)


def test_the_export_formats_are_those_of_the_verb():
    assert sorted(EXPORT_FORMATS) == sorted(FORMATS)


def test_the_objectives_are_those_of_the_verb():
    assert OBJECTIVES == options.OBJECTIVES


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch-size", "0"], "at least 1"),
        (["--max-memory", "none"], "no max_memory"),
        (["--objective", "speed"], "invalid choice"),
    ],
)
def test_values_that_freeze_nothing_are_usage_errors(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        parse("freeze", "in.keras", "out.keras", *words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "rank"),
    [
        ("8", 8),
        ("4,8,4", (4, 8, 4)),
        ("0.1", 0.1),
        ("1.0", 1.0),
        ("1", 1),
        ("vbmf", "vbmf"),
    ],
)
def test_a_rank_is_an_integer_a_tuple_a_share_or_a_rule(text, rank):
    found = parse(*CONVERT, "--rank", text).rank
    assert found == rank
    assert type(found) is type(rank)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rank", "0"], "must be at least 1"),
        (["--rank", "1.5"], "must lie in (0, 1]"),
        (["--rank", "4,x"], "no rank"),
        (["--rank", "8,"], "no rank"),
        (["--rank", "many"], "no rank"),
        (["--error", "1.5"], "must lie in [0, 1)"),
        (["--rank", "8", "--error", "0.1"], "not allowed with"),
        (
            [],
            "one of the arguments --rank --rate --error --ratio --flops",
        ),
        (["--rank", "8", "--min-compression", "-1"], "at least 0"),
    ],
)
def test_values_that_make_no_sense_are_usage_errors(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(*CONVERT, *words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_filters_are_a_list():
    found = parse(*CONVERT, "--rank", "8", "--filters", "conv", "^dense")
    assert found.filters == ["conv", "^dense"]


def test_a_batch_size_below_one_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stop:
        parse("inspect", "in.keras", "--batch-size", "0")
    assert stop.value.code == 2
    assert "batch_size=0" in capsys.readouterr().err


def test_a_rate_excludes_a_rank():
    assert parse(*CONVERT, "--rate", "0.1").rate == 0.1
    with pytest.raises(SystemExit):
        parse(*CONVERT, "--rate", "0.1", "--rank", "8")
