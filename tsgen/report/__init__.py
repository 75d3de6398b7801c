"""Figures and one self-contained HTML page."""

from tsgen.report.calibration import plot_calibration, plot_coverage, plot_pit
from tsgen.report.fan import plot
from tsgen.report.figures import plot_history, plot_steps
from tsgen.report.forecasts import write_report
from tsgen.report.page import Page
from tsgen.report.plant import write_plant_report
from tsgen.report.style import PALETTE

__all__ = [
    "PALETTE",
    "Page",
    "plot",
    "plot_calibration",
    "plot_coverage",
    "plot_history",
    "plot_pit",
    "plot_steps",
    "write_plant_report",
    "write_report",
]
