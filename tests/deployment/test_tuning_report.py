import dataclasses

from tensornet_keras.deployment.tuning_report import Timing, TuningRow


def test_a_row_knows_what_it_gained():
    slow = Timing("slow", (0, 1), 1, 1.0, 3.0)
    fast = Timing("fast", (1, 0), 4, 2.0, 1.5)
    row = TuningRow(("layer",), "cpu/batch-8", (slow, fast))
    assert (row.chosen, row.default, row.speed_up) == (fast, slow, 2.0)
    assert dataclasses.replace(row, kept=((0, 1), 1)).chosen is slow
    # What is kept for another size of this name was not timed at this one.
    assert dataclasses.replace(row, kept=((0, 1), 2)).chosen is fast
