"""Names say what a quantity is; the first sentence of a docstring stands alone."""

import ast
import re
from collections import Counter
from pathlib import Path

import tsgen
from tests.support.names import participles

ROOT = Path(tsgen.__file__).parent
AT_MOST = {"known": 9, "seen": 4, "found": 0, "kept": 2, "made": 1, "named": 0, "told": 0}
"""Scopes that still bind such a name; a name that goes lowers its number here."""


def test_participles_do_not_come_back():
    words = frozenset(AT_MOST)
    records = participles(ROOT, words)
    counts = Counter(record.name.strip("_") for record in records)
    for word, limit in AT_MOST.items():
        where = [f"{r.file}:{r.line}" for r in records if r.name.strip("_") == word]
        assert counts[word] <= limit, (word, where)


def test_docstrings_say_something():
    """Neither "See :class:`X`." alone, nor one word; overrides are marked and need none."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                text = (ast.get_docstring(node) or "").strip()
                where = f"{path}:{node.lineno}"
                assert not re.fullmatch(r"See :\w+:`[^`]*`\.", text), where
                assert not re.fullmatch(r"\w+\.", text), where
