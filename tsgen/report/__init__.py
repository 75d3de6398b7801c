"""Figures and one self-contained HTML page."""

from tsgen.report.fan import plot
from tsgen.report.page import Page

__all__ = ["Page", "plot"]
