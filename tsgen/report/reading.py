"""What the figures of a report mean, in plain words."""

from tsgen.evaluation.comparison import Paired, enough

READING = {
    "CRPS": "How far a forecast's distribution is from what happened, value by value, over the "
    "size of the true values: 0 is perfect, .03 reads as 3 %. Lower is better. It is an average "
    "over a grid of quantile levels and depends on how many: compare only equal grids. The "
    "fair CRPS has no grid and does not depend on the number of sample paths.",
    "CRPS-sum": "CRPS of the sum over all channels. It can reward wrong dependence between "
    "channels, when errors of channels cancel: never read it alone.",
    "energy": "The same idea for whole paths, all channels and steps at once. Lower is better. It "
    "feels errors of level most and wrong dependence less.",
    "variogram": "How well forecasts know the differences between any two values of a window, and "
    "so whether channels and steps move together as they do in truth. Lower is better; it does not "
    "see an error that all values share.",
    "ND, NRMSE, MASE": "Errors of the median (of the mean in NRMSE) as a point forecast. Lower is "
    "better; they say nothing about uncertainty. MASE is over the error of last season's value.",
    "log score": "Minus the log density of a value, where a forecaster has a density. Lower is "
    "better; it depends on the unit of the data.",
    "coverage": "Share of true values inside a central interval. It should be what the interval "
    "says, 90 % for a 90 % interval: far below, the forecaster is too sure of itself, whatever its "
    "CRPS; far above, it is not sure enough.",
    "PIT": "Where in its forecast each true value fell, 0 below all sample paths, 1 above them. "
    "All bars are equal for a calibrated forecaster. High at both ends: too sure. High in the "
    "middle: not sure enough. Higher to one side: forecasts are too low (right) or too high "
    "(left).",
}
"""Terms and their meanings."""

PIT_CAPTION = (
    "PIT histograms: all bars should be at 1. Values of one window depend on each other, so bars "
    "of a calibrated forecaster vary, too: in the grey band each stays 95 times in 100. The band "
    "believes the forecaster's own dependence between channels and steps and takes windows as "
    "independent: it is a guide, not a test."
)
COVERAGE_CAPTION = (
    "Share of true values inside central intervals, which should lie on the dotted line: below it "
    "forecasters are too sure. Below 10 % nothing is drawn. Of counts more values are inside "
    "than the interval says, for its ends count. The grey band is as the one of the PIT histograms."
)
STEPS_CAPTION = (
    "CRPS by step of the horizon, each step over the size of its true values. Steps share their "
    "windows, so neighbours go up and down together."
)
CALIBRATION_TEXT = (
    "Conformal calibration stretches intervals until they hold what they should on windows held "
    "out before the test. Coverage after it should be nearer to the nominal one; widths (over the "
    "size of the truth) say what that costs, and CRPS whether it was worth it. The joint band is "
    "wider: it should hold the path of all steps and channels at once."
)
TRAINING_CAPTION = (
    "Loss by epoch. Losses of different models have different units and do not compare; a "
    "validation loss that turns upwards says that training began to learn by heart."
)


def observations(paired: Paired, overlap: int = 1) -> str:
    """What a comparison rests on, and what so few or many observations can show.

    Args:
        paired: one of the comparisons.
        overlap: windows in a row that share steps.
    """
    count, unit = paired.test.pairs, paired.unit
    means = "A p-value above .05 does not mean that two forecasters are equally good."
    if unit == "series" and count > 1:
        return (
            f"Each series has one window: the {count} series are taken as the observations, as if "
            "they were independent. What happened to all of them at that time "
            f"counts {count} times, so intervals are too narrow, and they say nothing about other "
            f"times. {means}"
        )
    if count < 3:
        what = "one window" if count == 1 else f"{count} windows"
        return (
            f"There is only {what}: no interval and no p-value can be had, and nothing can be said "
            "about other times. Test on more windows."
        )
    base = (
        f"Observations are the {count} windows; what was forecast in one window, all channels and "
        "series, counts once, for it shares what happened then. "
    )
    if not enough(count, overlap):
        return (
            f"{base}Up to {overlap} windows in a row share steps, and fewer than five times as "
            "many windows do not tell how they depend on each other: no interval and no p-value is "
            "given. Test on more windows, or on windows that do not overlap."
        )
    if overlap > 1:
        base += (
            f"Up to {overlap} windows in a row share steps: they are not independent, and the test "
            "allows for it as well as so many observations let it. "
        )
    if count < 30:
        return (
            f"{base}They are few: such an interval holds the truth less often than 95 times in 100 "
            "(with 7 of them some 80 times), and only large and steady differences can show. "
            f"{means} All of them come from one stretch of time."
        )
    return f"{base}{means} All of them come from one stretch of time."
