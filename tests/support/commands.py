"""Commands called in this process, as a person gives them."""

import pytest

from tsgen.cli import main


def run(capsys, *arguments, code=0):
    """What a command prints, and its exit code checked."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert stop.value.code == code, captured.err
    return captured
