"""The report is drawn from the results."""

from experiments import record, report, run


def test_the_report_is_what_the_results_say():
    assert report.REPORT.read_text(encoding="utf-8") == report.markdown()


def test_an_experiment_is_in_the_report(data, tmp_path):
    result, path = run.run("t3f_mnist_scratch", smoke=True, output=tmp_path)
    assert "t3f_mnist_scratch" not in report.markdown(tmp_path)
    record.save({**result, "smoke": False}, path)
    text = report.markdown(tmp_path)
    assert "| t3f_mnist_scratch | parameters | 7,985 |" in text
    assert "mnist.npz in the data folder" in text
