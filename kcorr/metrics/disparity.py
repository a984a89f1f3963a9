"""Evaluation of a stereo method over a data set."""

from kcorr.metrics._tally import Evaluation
from kcorr.metrics.flow import disparity_error_map, disparity_outliers


class DisparityEvaluation(Evaluation):
    """Collects disparity errors and outliers, picture by picture, as `FlowEvaluation` does flow's.

    Args:
        reduction: what stands under the short keys ("epe_all", "d1_occ", ...): "image", "pixel", or
            None for the literature's habit on KITTI, error per image and outliers per pixel.

    Attributes:
        images: list of one dict per picture: "name", and "epe_all", "d1_noc", ... of that picture.

    Raises:
        ValueError: `reduction` is something else.
    """

    _prediction, _channels = "disparity", 1
    _measures = {"epe": "image", "d1": "pixel", "out3": "pixel"}  # noqa: RUF012

    def __init__(self, reduction=None):
        super().__init__(reduction)

    def update(self, disparity, target, valid=None, occlusion=None, name=None, *, objects=None):
        """Adds one picture, or a batch of them picture by picture.

        Args:
            disparity: [h, w, 1] or [b, h, w, 1] pixels, x_left - x_right, the prediction. A value
                that is not finite is an error of infinite size and is counted under "missing".
            target: like `disparity`. May hold anything where `valid` is 0.
            valid: [.., h, w, 1], > 0.5 = ground truth exists; None counts everything.
            occlusion: [.., h, w, 1], > 0.5 = hidden in the other view; None if unknown: the picture
                then counts under "all" only.
            name: of the picture, for `images`; a batch needs a list of them. None is its number.
            objects: [.., h, w, 1], > 0.5 = foreground, a moving object of KITTI's object maps.

        Raises:
            ValueError: shapes differ, or the target is not finite where it is valid. The picture
                (or the whole batch) is then not counted at all.
        """
        arrays = {"disparity": disparity, "target": target, "valid": valid}
        self._update({**arrays, "occlusion": occlusion, "objects": objects}, name)

    def result(self):
        """Everything collected so far.

        Returns:
            A flat dict of numbers, None where nothing was counted. Keys as those of
            `FlowEvaluation.result`: M_S, M_S_per_image, M_S_per_pixel with M in epe (mean |d - d'|,
            pixels), d1 (percent, KITTI 2015), out3 (percent over 3 px, KITTI 2012) and S in all,
            noc, occ and, once `objects` were given, fg, bg, noc_fg, noc_bg; images, pixels_S,
            missing.
        """
        return self._averages()

    def _maps(self, disparity, target):
        error = disparity_error_map(disparity, target)
        return {
            "epe": error,
            "d1": 100.0 * disparity_outliers(disparity, target),
            "out3": 100.0 * (error > 3.0),
        }
