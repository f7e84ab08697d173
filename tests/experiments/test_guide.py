"""The guide's table and pictures are drawn from a result."""

import pytest

from experiments import guide, record, speed_figures

SIDES = ("dense", "core by core", "tensorly-torch", "ours", "ours, frozen")


def row(layer, batch, rank, **seconds):
    """A row of the suite `dense`, as the suite makes it."""
    sides = {
        name: {
            "median": seconds.get(name.split(",")[0].split()[0], 1e-3),
            "quartiles": [0.9e-3, 1.1e-3],
            "rounds": 3,
        }
        for name in SIDES
    }
    ratios = {
        f"{name} / {own}": sides[name]["median"] / sides[own]["median"]
        for own in speed_figures.OWN
        for name in SIDES
        if name != own
    }
    return {
        "case": f"{layer}, batch {batch}",
        "sides": sides,
        "ratios": ratios,
        "spreads": {
            name: [0.9 * ratio, 1.1 * ratio] for name, ratio in ratios.items()
        },
        "facts": {
            "layer": layer,
            "modes": [[8, 8], [8, 8]],
            "batch": batch,
            "rank": rank,
            "limit_seconds": 1e-4,
        },
    }


@pytest.fixture
def result():
    rows = [
        row("64 to 64", batch, rank, dense=batch * 1e-3, ours=rank * 1e-3)
        for batch in (1, 32)
        for rank in (2, 4, 8)
    ]
    return {"suite": "dense", "smoke": False, "rows": rows}


def test_a_page_is_filled_between_its_lines(result):
    page = f"head\n{guide.BEGIN}\nold\n{guide.END}\ntail\n"
    filled = guide.filled(page, result)
    assert filled.startswith("head\n")
    assert filled.endswith("\ntail\n")
    assert "old" not in filled
    assert guide.filled(filled, result) == filled
    assert guide.filled("no lines", result) == "no lines"


def test_where_dense_is_faster_the_table_says_so(result):
    lines = guide.times(result["rows"]).splitlines()
    assert any("**0.50**" in line and "rank 2 | 1 " in line for line in lines)
    assert any(line.endswith("| 16.00 |") for line in lines)
    assert all("core by core" in line for line in lines[2:])


def test_the_pictures_lie_beside_the_page(result, tmp_path):
    pytest.importorskip("matplotlib")
    page = tmp_path / "planning.md"
    page.write_text(f"{guide.BEGIN}\n{guide.END}\n", "utf-8")
    record.save(result, tmp_path / "bench_dense.json")
    written = guide.write(tmp_path, page)
    assert [path.name for path in written] == [page.name, *guide.PICTURES]
    assert all(path.stat().st_size > 0 for path in written)
    assert "64 to 64" in page.read_text("utf-8")


def test_a_page_without_lines_gets_no_pictures(result, tmp_path):
    page = tmp_path / "planning.md"
    page.write_text("text\n", "utf-8")
    record.save(result, tmp_path / "bench_dense.json")
    assert guide.write(tmp_path, page) == []
    assert list(tmp_path.glob("*.png")) == []


def test_the_guide_is_what_the_results_say():
    page = guide.PAGE.read_text("utf-8")
    source = record.RESULTS / "bench_dense.json"
    assert guide.filled(page, record.load(source)) == page


def test_the_dense_layer_timed_again_is_no_other_library():
    sides = {"dense": {}, "tednet": {}, "ours": {}, "dense, again": {}}
    assert speed_figures.peers_of({"sides": sides}) == ["tednet"]
