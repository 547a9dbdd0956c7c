from __future__ import annotations

from napari_medsyn.evaluation.checks import Report, counted, failed, passed, warned

CHECKS = (passed("a", "Fine."), warned("b", "Read this."), failed("c", "Wrong."))


def test_a_warning_is_no_failure():
    assert Report("m", "1.0", CHECKS[:2]).ok
    assert not Report("m", "1.0", CHECKS).ok


def test_a_report_counts_and_tells():
    report = Report("m", "1.0", CHECKS)
    assert report.summary == "3 checks: 1 ok, 1 warning, 1 failed"
    assert Report("m", "1.0", CHECKS[:1]).summary == "1 check: 1 ok"
    assert report.as_dict() == {
        "model": "m",
        "version": "1.0",
        "ok": False,
        "checks": [
            {"name": "a", "ok": True, "verdict": "ok", "sentence": "Fine."},
            {"name": "b", "ok": True, "verdict": "warning", "sentence": "Read this."},
            {"name": "c", "ok": False, "verdict": "failed", "sentence": "Wrong."},
        ],
    }


def test_nouns_are_counted():
    assert counted(1, "slice") == "1 slice"
    assert counted(0, "slice") == "0 slices"
