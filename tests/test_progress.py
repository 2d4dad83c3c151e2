"""What a sweep says while it trains, on a terminal and in a notebook."""

import io

import pytest

from lnqlib.spec import grid
from lnqlib.store.progress import LINES, Bar, announce, duration

SPECS = grid(env="Pendulum", norm=("none", "layer"), lr=1e-3, seed=range(3), steps=10)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("total", [7, 1000])
def test_off_a_terminal_the_bar_is_written_a_few_times(total, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with Bar(total, 0, True) as bar:
        for _ in range(total):
            bar.update()
            bar.refresh()
    said = stream.getvalue()
    assert f"{total}/{total}" in said
    assert said.count("\r") <= min(total, LINES) + 1


def test_a_terminal_sees_every_refresh_and_a_changed_note_is_seen_anywhere(monkeypatch):
    for stream, count in ((Terminal(), 9), (io.StringIO(), 2)):
        monkeypatch.setattr("sys.stderr", stream)
        with Bar(5, 0, True) as bar:
            for _ in range(4):
                bar.refresh()
            bar.set_postfix_str("no workers", refresh=False)
            for _ in range(4):
                bar.refresh()
            assert stream.getvalue().count("\r") >= count
        assert (stream.getvalue().count("\r") <= 3) == (count == 2)
        assert "no workers" in stream.getvalue()


def test_what_is_missing_is_said_with_its_time(capsys):
    announce(SPECS, 4, 600.0, 2)
    said = capsys.readouterr().err
    assert said.startswith("6 runs to train (4 more are finished), about 5 min in all;")
    assert "each of 2 kinds" in said
    announce(SPECS[:1], 0, 0.0, None)
    assert capsys.readouterr().err == "1 run to train\n"


def test_a_duration_has_one_unit():
    assert [duration(s) for s in (0.2, 60, 300, 9000)] == ["1 s", "60 s", "5 min", "2.5 h"]
