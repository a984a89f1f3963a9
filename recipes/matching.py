"""OpenCV's stereo matching, to stand beside a network."""

import numpy as np


def semi_global_matching(left, right, disparities=None):
    """OpenCV's SGBM with the parameters of its stereo_match sample.

    Block 3, P1 = 8 * 3 * 9, P2 = 32 * 3 * 9, uniqueness 10, speckles of 100 px within 32, a
    left-right difference of 1, pre-filter cap 63.

    Args:
        left, right: uint8 [h, w, 3].
        disparities: search range in pixels, rounded up to a multiple of 16; None: an eighth of the
            width, as in the sample.

    Returns:
        float32 [h, w, 1] pixels, NaN in holes. The left picture is continued by its first column
        for the search: without that its first `disparities` columns would be one hole.
    """
    import cv2

    width = left.shape[1]
    count = max(16, -(-(disparities or -(-width // 8)) // 16) * 16)
    matcher = cv2.StereoSGBM_create(
        minDisparity=0,
        numDisparities=count,
        blockSize=3,
        P1=8 * 3 * 9,
        P2=32 * 3 * 9,
        disp12MaxDiff=1,
        preFilterCap=63,
        uniquenessRatio=10,
        speckleWindowSize=100,
        speckleRange=32,
    )
    pair = [cv2.copyMakeBorder(one, 0, 0, count, 0, cv2.BORDER_REPLICATE) for one in (left, right)]
    found = matcher.compute(*pair)[:, count:]
    return np.where(found < 0, np.nan, found / np.float32(16)).astype(np.float32)[..., None]


def filled_from_the_left(disparity):
    """Holes (NaN) of [h, w, 1] filled row by row; 0 in empty rows.

    Each takes the nearest known value to its left, in a row's beginning the first known one: what
    hides a pixel from the right camera stands to its right, so that its left neighbour is
    background.
    """
    rows = disparity[..., 0]
    known = np.isfinite(rows)
    columns = np.arange(rows.shape[1])
    last = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    last = np.where(last < 0, known.argmax(axis=1)[:, None], last)
    filled = np.take_along_axis(rows, last, axis=1)
    return np.where(np.isfinite(filled), filled, 0).astype(np.float32)[..., None]
