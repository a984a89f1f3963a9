"""Evaluation of a flow method over a data set, with the two ways of averaging kept apart."""

import math

import numpy as np

from kcorr.metrics.flow import (
    endpoint_error_map,
    f_score,
    flow_outliers,
    kitti2012_outliers,
    occlusion_counts,
)

STRATA = ("all", "noc", "occ")
SPEEDS = {"s0_10": (0.0, 10.0), "s10_40": (10.0, 40.0), "s40": (40.0, math.inf)}
_MEASURES = ("epe", "fl", "out3")
# Habit of the literature on KITTI: endpoint errors as the mean of the pictures' means, Fl pooled.
_DEFAULT_REDUCTION = {"epe": "image", "fl": "pixel", "out3": "pixel"}


class FlowEvaluation:
    """Collects endpoint errors, outliers and occlusion hits, picture by picture.

    The two averages differ by several percent on KITTI, whose pictures have different numbers of
    labelled pixels, so both are reported and the name says which is which:

        per image   mean over pictures of the picture's mean
        per pixel   mean over all pixels of all pictures

    Args:
        reduction: which of the two stands under the short keys ("epe_all", "fl_occ", ...):
            "image", "pixel", or None for the literature's habit on KITTI, endpoint error per image
            and outliers per pixel.

    Attributes:
        images: list of one dict per picture: "name", and "epe_all", "fl_noc", ... of that picture.

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

    def __init__(self, reduction=None):
        if reduction not in (None, "image", "pixel"):
            raise ValueError(f'reduction must be "image", "pixel" or None, got {reduction!r}')
        self.reduction = reduction
        self.images = []
        self._sums = {f"{measure}_{stratum}": 0.0 for measure in _MEASURES for stratum in STRATA}
        self._pixels = dict.fromkeys((*STRATA, *SPEEDS), 0)
        self._speed_sums = dict.fromkeys(SPEEDS, 0.0)
        self._missing = 0
        self._occlusion = np.zeros(3, "int64")
        self._occlusion_seen = False

    def update(self, flow, target, valid=None, occlusion=None, predicted_occlusion=None, name=None):
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

        Raises:
            ValueError: shapes differ, or the target is not finite where it is valid. The picture
                (or the whole batch) is then not counted at all.
        """
        arrays = {"flow": np.asarray(flow), "target": np.asarray(target)}
        single = arrays["flow"].ndim == 3
        optional = {
            "valid": valid,
            "occlusion": occlusion,
            "predicted_occlusion": predicted_occlusion,
        }
        arrays |= {key: np.asarray(value) for key, value in optional.items() if value is not None}
        _check_shapes(arrays)
        if single:
            arrays = {key: value[None] for key, value in arrays.items()}
        count = len(arrays["flow"])
        names = [name] if single else name
        if names is None or (single and name is None):
            names = [str(len(self.images) + index) for index in range(count)]
        if isinstance(names, str) or len(names) != count:
            raise ValueError(f"name must be a list of {count} names for this batch, got {name!r}")
        prepared = [
            _measure({key: value[index] for key, value in arrays.items()}, names[index])
            for index in range(count)
        ]
        for picture in prepared:
            self._add(*picture)

    def result(self):
        """Everything collected so far.

        Returns:
            A flat dict of numbers, ready for JSON except that an endpoint error is infinite where
            a prediction was not finite. None stands where nothing was counted (no valid pixel in
            the stratum, no occlusion given, F with no hidden pixel anywhere). Keys, with S in all,
            noc (visible in the other frame), occ (hidden) and M in epe (pixels), fl (percent,
            KITTI 2015), out3 (percent over 3 px, KITTI 2012):

            M_S                    by the reduction chosen in the constructor
            M_S_per_image          mean over the pictures that have such pixels
            M_S_per_pixel          pooled over all pixels
            epe_s0_10, epe_s10_40, epe_s40
                                   pooled endpoint error by true speed in pixels (Sintel)
            occlusion_f            F-measure in [0, 1], pooled over all pixels
            images, pixels_S       counts; "missing": valid pixels without a finite prediction
        """
        values = {}
        for measure in _MEASURES:
            chosen = self.reduction or _DEFAULT_REDUCTION[measure]
            for stratum in STRATA:
                key = f"{measure}_{stratum}"
                per_image = [row[key] for row in self.images if row[key] is not None]
                averages = {
                    "image": _mean(sum(per_image), len(per_image)),
                    "pixel": _mean(self._sums[key], self._pixels[stratum]),
                }
                values[key] = averages[chosen]
                values[f"{key}_per_image"] = averages["image"]
                values[f"{key}_per_pixel"] = averages["pixel"]
        for speed in SPEEDS:
            values[f"epe_{speed}"] = _mean(self._speed_sums[speed], self._pixels[speed])
        counts = [int(count) for count in self._occlusion]
        scored = self._occlusion_seen and any(counts)
        values["occlusion_f"] = f_score(*counts) if scored else None
        values["images"] = len(self.images)
        values |= {f"pixels_{stratum}": self._pixels[stratum] for stratum in STRATA}
        values["missing"] = self._missing
        return values

    def _add(self, row, sums, pixels, speed_sums, missing, occlusion):
        self.images.append(row)
        for key, value in sums.items():
            self._sums[key] += value
        for key, value in pixels.items():
            self._pixels[key] += value
        for key, value in speed_sums.items():
            self._speed_sums[key] += value
        self._missing += missing
        if occlusion is not None:
            self._occlusion_seen = True
            self._occlusion += occlusion


def _measure(arrays, name):
    """The sums of one picture, without touching the evaluation."""
    flow, target = arrays["flow"], arrays["target"]
    everywhere = np.ones((*flow.shape[:2], 1))
    valid = arrays.get("valid", everywhere) > 0.5
    unknown = valid & ~np.all(np.isfinite(target), axis=-1, keepdims=True)
    if unknown.any():
        raise ValueError(
            f"picture {name!r}: target is not finite at {int(unknown.sum())} pixels that valid "
            f"marks as known; expected finite vectors there"
        )
    target = np.where(valid, target, 0.0)
    masks = {"all": valid}
    if "occlusion" in arrays:
        hidden = arrays["occlusion"] > 0.5
        masks |= {"noc": valid & ~hidden, "occ": valid & hidden}
    maps = {
        "epe": endpoint_error_map(flow, target),
        "fl": 100.0 * flow_outliers(flow, target),
        "out3": 100.0 * kitti2012_outliers(flow, target),
    }
    row, sums = {"name": name}, {}
    pixels = {stratum: int(mask.sum()) for stratum, mask in masks.items()}
    for measure, values in maps.items():
        for stratum in STRATA:
            key = f"{measure}_{stratum}"
            row[key] = None
            if stratum in masks:
                sums[key] = float(np.sum(values[masks[stratum]]))
                row[key] = _mean(sums[key], pixels[stratum])
    speed = np.sqrt(np.sum(np.square(target, dtype="float64"), axis=-1, keepdims=True))
    speed_sums = {}
    for key, (low, high) in SPEEDS.items():
        mask = valid & (speed >= low) & (speed < high)
        pixels[key], speed_sums[key] = int(mask.sum()), float(np.sum(maps["epe"][mask]))
    missing = int(np.sum(valid & ~np.all(np.isfinite(flow), axis=-1, keepdims=True)))
    occlusion = None
    if "occlusion" in arrays and "predicted_occlusion" in arrays:
        occlusion = occlusion_counts(arrays["predicted_occlusion"], arrays["occlusion"], valid)
    return row, sums, pixels, speed_sums, missing, occlusion


def _check_shapes(arrays):
    shape = arrays["flow"].shape
    if len(shape) not in (3, 4) or shape[-1] != 2:
        raise ValueError(f"flow must be [h, w, 2] or [b, h, w, 2], got shape {shape}")
    for key, array in arrays.items():
        expected = shape if key in ("flow", "target") else (*shape[:-1], 1)
        if array.shape != expected:
            raise ValueError(
                f"{key} must have shape {expected} to fit the flow's, got {array.shape}"
            )


def _mean(total, count):
    return total / count if count else None
