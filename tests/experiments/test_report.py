"""The report is drawn from the results."""

import pytest

from experiments import record, report, rows, run, targets


def timing(seconds):
    return {"median": seconds, "quartiles": [seconds, seconds], "rounds": 3}


def row(seconds, own, **facts):
    """A row as a suite makes it, from the seconds of its sides."""
    return {
        "case": "case",
        "sides": {name: timing(one) for name, one in seconds.items()},
        "ratios": {
            f"{name} / {side}": seconds[name] / seconds[side]
            for side in own
            for name in seconds
            if name != side
        },
        "facts": facts,
    }


@pytest.fixture
def drawn(tmp_path):
    """The report of a suite of these rows."""

    def draw(*lines, suite="conv", bounds=()):
        result = {
            "suite": suite,
            "smoke": False,
            "rows": list(lines),
            "targets": list(bounds),
            "backend": "jax",
            "device": "a machine",
            "commit": None,
            "date": "2020-01-01T00:00:00",
        }
        record.save(result, tmp_path / f"bench_{suite}.json")
        return report.markdown(tmp_path)

    return draw


def test_the_report_is_what_the_results_say():
    assert report.REPORT.read_text(encoding="utf-8") == report.markdown()


def test_an_experiment_is_in_the_report(data, tmp_path):
    result, path = run.run("t3f_mnist_scratch", smoke=True, output=tmp_path)
    assert "t3f_mnist_scratch" not in report.markdown(tmp_path)
    record.save({**result, "smoke": False}, path)
    text = report.markdown(tmp_path)
    assert "| t3f_mnist_scratch | parameters | 7,985 |" in text
    assert "mnist.npz in the data folder" in text


def test_sides_that_are_not_called_ours_have_their_ratios(drawn):
    formats = {
        "chain": {"limit_seconds": 1e-4},
        "CP": {"limit_seconds": 2e-4},
    }
    seconds = {"dense": 6e-3, "chain": 2e-3, "CP": 1e-3}
    text = drawn(row(seconds, ("chain", "CP"), formats=formats))
    assert "| over chain | over CP |" in text
    assert "| case | dense | 6 | 6 to 6 | 3.00 | 6.00 |" in text
    assert "| case | chain | 2 | 2 to 2 |  | 2.00 |" in text
    assert "| case | limit of the device, chain | 0.1 |  | 0.05 |  |" in text
    assert "| case | limit of the device, CP | 0.2 |  |  | 0.20 |" in text


def test_rows_of_other_sides_have_a_table_of_their_own(drawn):
    seconds = {"dense": 6e-3, "ours": 2e-3, "ours, frozen": 1e-3}
    one = row(seconds, ("ours",), limit_seconds=5e-4)
    two = row(seconds, ("ours", "ours, frozen"), limit_seconds=5e-4)
    lines = drawn(one, one, two).splitlines()
    assert [line for line in lines if line.startswith("| case | side")] == [
        "| case | side | ms | quartiles | over ours |",
        "| case | side | ms | quartiles | over ours | over ours, frozen |",
    ]
    limits = [line for line in lines if "limit of the device" in line]
    assert limits == [
        *["| case | limit of the device | 0.5 |  | 0.25 |"] * 2,
        "| case | limit of the device | 0.5 |  | 0.25 | 0.50 |",
    ]


def test_a_row_without_a_limit_has_no_line_of_it():
    assert rows.device_limits(row({"ours": 1e-3}, ())) == []
    formats = {"CP": {"limit_seconds": 1e-4}}
    assert rows.device_limits(row({"ours": 1.0}, (), formats=formats)) == []


def test_sizes_and_how_much_smaller_are_told(drawn):
    facts = {
        "threads": 2,
        "bytes": {"source": 5000, "ours, frozen": 500},
        "times_smaller": 10.0,
    }
    seconds = {"source": 2e-3, "ours, frozen": 1e-3}
    text = drawn(row(seconds, ("ours, frozen",), **facts), suite="export")
    assert "| case | source | 2 | 2 to 2 | 2.00 |" in text
    assert "- case: times smaller 10\n" in text
    assert "- case: bytes source 5,000\n" in text
    assert "- case: bytes ours, frozen 500\n" in text
    assert "threads" not in text


def test_a_row_without_times_tells_all_its_numbers(drawn):
    text = drawn(row({}, (), bytes_plan=1234, plan="text"), suite="memory")
    assert "- case: bytes plan 1,234" in text
    assert "text" not in text
    assert "| case |" not in text


def test_targets_are_told_with_what_was_measured(drawn):
    bounds = [targets.at_most("a", 3.0, 2.0), targets.at_least("b", 3.0, 2.0)]
    text = drawn(row({"ours": 1e-3}, ()), bounds=bounds)
    assert "| a | 3 | at most 2 | missed |" in text
    assert "| b | 3 | at least 2 | met |" in text
