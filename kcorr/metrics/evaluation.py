"""Evaluation of a flow method over a data set, with the two ways of averaging kept apart."""

import math

import numpy as np

from kcorr.metrics._tally import Evaluation, mean
from kcorr.metrics.boundaries import boundary_distance
from kcorr.metrics.flow import (
    endpoint_error_map,
    f_score,
    flow_outliers,
    kitti2012_outliers,
    occlusion_counts,
)

SPEEDS = {"s0_10": (0.0, 10.0), "s10_40": (10.0, 40.0), "s40": (40.0, math.inf)}
DISTANCES = {"d0_10": (0.0, 10.0), "d10_60": (10.0, 60.0), "d60_140": (60.0, 140.0)}


class FlowEvaluation(Evaluation):
    """Collects endpoint errors, outliers and occlusion hits, picture by picture.

    The two averages differ by several percent on KITTI, whose pictures have different numbers of
    labelled pixels, so both are reported and the name says which is which:

        per image   mean over pictures of the picture's mean
        per pixel   mean over all pixels of all pictures

    `kcorr.metrics.official_scores` picks out of the result what a benchmark's table shows.

    Args:
        reduction: which of the two stands under the short keys ("epe_all", "fl_occ", ...):
            "image", "pixel", or None for the literature's habit on KITTI, endpoint error per image
            and outliers per pixel (and everything by speed, distance and so on per pixel, as on
            Sintel).
        distances: also averages by the distance from the nearest occlusion boundary (Sintel's d0-10
            and so on), as `boundary_distance` approximates it; needs scipy and dense occlusions.

    Attributes:
        images: list of one dict per picture: "name", and "epe_all", "fl_noc", "occlusion_f", ... of
            that picture.

    Raises:
        ValueError: `reduction` is something else.

    Example:
        evaluation = FlowEvaluation()
        for index in range(len(source)):
            record = source[index]
            flow = predict(record)
            evaluation.update(flow, record["flow"], record["valid"], record.get("occlusion"))
        print(evaluation.result()["epe_noc"])
    """

    _prediction, _channels = "flow", 2
    # Habit of the literature on KITTI: endpoint errors as the mean of pictures' means, Fl pooled.
    _measures = {"epe": "image", "fl": "pixel", "out3": "pixel"}  # noqa: RUF012

    def __init__(self, reduction=None, *, distances=False):
        self._band_names = ["out", *SPEEDS, *(DISTANCES if distances else ())]
        super().__init__(reduction)
        self._occlusion = np.zeros(3, "int64")
        self._occlusion_seen = False

    def update(
        self,
        flow,
        target,
        valid=None,
        occlusion=None,
        predicted_occlusion=None,
        name=None,
        *,
        objects=None,
    ):
        """Adds one picture, or a batch of them picture by picture.

        Args:
            flow: [h, w, 2] or [b, h, w, 2] pixels, the prediction. A vector that is not finite is
                an error of infinite size and is counted under "missing".
            target: like `flow`. May hold anything where `valid` is 0.
            valid: [.., h, w, 1], > 0.5 = ground truth exists; None counts everything.
            occlusion: [.., h, w, 1], > 0.5 = hidden in the other frame; None if unknown: the
                picture then counts under "all" only.
            predicted_occlusion: [.., h, w, 1], > 0.5 = hidden; scored when `occlusion` is given.
            name: of the picture, for `images`; a batch needs a list of them. None is its number.
            objects: [.., h, w, 1], > 0.5 = foreground, a moving object of KITTI's object maps.

        Raises:
            ValueError: shapes differ, or the target is not finite where it is valid. The picture
                (or the whole batch) is then not counted at all.
        """
        arrays = {"flow": flow, "target": target, "valid": valid, "occlusion": occlusion}
        arrays |= {"predicted_occlusion": predicted_occlusion, "objects": objects}
        self._update(arrays, name)

    def result(self):
        """Everything collected so far.

        Returns:
            A flat dict of numbers, ready for JSON except that an endpoint error is infinite where
            a prediction was not finite. None stands where nothing was counted (no valid pixel in
            the stratum, no occlusion given, F with no hidden pixel anywhere). Keys, with M in epe
            (pixels), fl (percent, KITTI 2015), out3 (percent over 3 px, KITTI 2012) and S in all,
            noc (visible in the other frame), occ (hidden), and, once `objects` were given, fg, bg,
            noc_fg, noc_bg (foreground and background of all and of visible pixels):

            M_S                    by the reduction chosen in the constructor
            M_S_per_image          mean over the pictures that have such pixels
            M_S_per_pixel          pooled over all pixels
            epe_s0_10, epe_s10_40, epe_s40
                                   by true speed in pixels (Sintel), likewise in both reductions
            epe_out                of pixels that leave the frame, which are hidden; likewise
            epe_d0_10, epe_d10_60, epe_d60_140
                                   by distance from occlusion boundaries, if `distances`
            occlusion_f            F-measure in [0, 1], by the chosen reduction, None is per pixel;
                                   _per_pixel pools hits and misses, _per_image leaves out pictures
                                   where nothing is hidden or said to be
            images, pixels_S       counts; "missing": valid pixels without a finite prediction
        """
        values = self._averages()
        counts = [int(count) for count in self._occlusion]
        scores = [row["occlusion_f"] for row in self.images if row["occlusion_f"] is not None]
        averages = {
            "image": mean(sum(scores), len(scores)),
            "pixel": f_score(*counts) if self._occlusion_seen and any(counts) else None,
        }
        values["occlusion_f"] = averages[self.reduction or "pixel"]
        values |= {f"occlusion_f_per_{reduction}": f for reduction, f in averages.items()}
        return values

    def _keys(self):
        return super()._keys() + [("epe", band) for band in self._band_names]

    def _maps(self, flow, target):
        return {
            "epe": endpoint_error_map(flow, target),
            "fl": 100.0 * flow_outliers(flow, target),
            "out3": 100.0 * kitti2012_outliers(flow, target),
        }

    def _bands(self, target, arrays):
        speed = np.sqrt(np.sum(np.square(target, dtype="float64"), axis=-1, keepdims=True))
        bands = {key: _within(speed, SPEEDS[key]) for key in SPEEDS}
        bands["out"] = _leaves(target)
        if "d0_10" in self._band_names and "occlusion" in arrays:
            distance = boundary_distance(arrays["occlusion"])
            bands |= {key: _within(distance, DISTANCES[key]) for key in DISTANCES}
        return bands

    def _measured(self, arrays, name):
        picture = super()._measured(arrays, name)
        picture["occlusion"] = None
        if "occlusion" in arrays and "predicted_occlusion" in arrays:
            picture["occlusion"] = occlusion_counts(
                arrays["predicted_occlusion"], arrays["occlusion"], arrays.get("valid")
            )
        return picture

    def _add(self, picture):
        super()._add(picture)
        counts = picture["occlusion"]
        self.images[-1]["occlusion_f"] = f_score(*counts) if counts and any(counts) else None
        if counts is not None:
            self._occlusion_seen = True
            self._occlusion += counts


def _leaves(flow):
    """[h, w, 1]: whether flow [h, w, 2] ends outside the frame."""
    height, width, _ = flow.shape
    rows, columns = np.mgrid[:height, :width]
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    return ((x < 0) | (x > width - 1) | (y < 0) | (y > height - 1))[..., None]


def _within(values, limits):
    return (values >= limits[0]) & (values < limits[1])
