"""The columns of the benchmarks' own tables, picked out of an evaluation."""

# Title of each column: key of the evaluation's result, which says how it is averaged.
TABLES = {
    # Menze and Geiger, CVPR 2015: outliers pooled over all pixels of all pictures.
    ("kitti2015", "flow"): {
        "Fl-bg": "fl_bg_per_pixel",
        "Fl-fg": "fl_fg_per_pixel",
        "Fl-all": "fl_all_per_pixel",
        "Fl-bg noc": "fl_noc_bg_per_pixel",
        "Fl-fg noc": "fl_noc_fg_per_pixel",
        "Fl-all noc": "fl_noc_per_pixel",
    },
    ("kitti2015", "disparity"): {
        "D1-bg": "d1_bg_per_pixel",
        "D1-fg": "d1_fg_per_pixel",
        "D1-all": "d1_all_per_pixel",
        "D1-bg noc": "d1_noc_bg_per_pixel",
        "D1-fg noc": "d1_noc_fg_per_pixel",
        "D1-all noc": "d1_noc_per_pixel",
    },
    # Geiger et al., CVPR 2012: the mean of the pictures' values.
    **{
        ("kitti2012", task): {
            "Out-Noc": "out3_noc_per_image",
            "Out-All": "out3_all_per_image",
            "Avg-Noc": "epe_noc_per_image",
            "Avg-All": "epe_all_per_image",
        }
        for task in ("flow", "disparity")
    },
    # Butler et al., ECCV 2012: pooled over all pixels of all frames.
    ("sintel", "flow"): {
        "EPE all": "epe_all_per_pixel",
        "EPE matched": "epe_noc_per_pixel",
        "EPE unmatched": "epe_occ_per_pixel",
        "d0-10": "epe_d0_10_per_pixel",
        "d10-60": "epe_d10_60_per_pixel",
        "d60-140": "epe_d60_140_per_pixel",
        "s0-10": "epe_s0_10_per_pixel",
        "s10-40": "epe_s10_40_per_pixel",
        "s40+": "epe_s40_per_pixel",
    },
}


def official_scores(result, benchmark, task="flow"):
    """A result under the names, in the order and by the averaging of a benchmark's own table.

    KITTI 2015 counts outliers (over 3 px and 5 %) over all pixels of all pictures and splits them
    by `objects`; KITTI 2012 averages the pictures' shares of pixels wrong by more than 3 px, and
    their mean errors; Sintel pools endpoint errors, "matched" being what is visible in the other
    frame, and the d columns being an approximation (`boundary_distance`). Both averages of KITTI
    are those of its development kits, which fill in pixels without a prediction, where here they
    are errors of infinite size.

    Args:
        result: of `FlowEvaluation.result()` or, for disparity, `DisparityEvaluation.result()`.
        benchmark: "kitti2012", "kitti2015" or "sintel".
        task: "flow", or "disparity" for KITTI.

    Returns:
        {column: percent, or pixels for Avg and EPE}; None where nothing was counted, for example
        foreground without `objects`, or d columns without `distances=True`.

    Raises:
        ValueError: unknown benchmark or task.
    """
    if (benchmark, task) not in TABLES:
        known = ", ".join(" ".join(key) for key in TABLES)
        raise ValueError(f"no table of {benchmark!r} for {task!r}; known are {known}")
    return {column: result.get(key) for column, key in TABLES[benchmark, task].items()}
