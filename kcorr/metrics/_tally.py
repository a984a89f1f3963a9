"""What the evaluations of flow and of disparity share: strata, pictures, the two averages."""

import numpy as np

STRATA = ("all", "noc", "occ")
OBJECT_STRATA = ("fg", "bg", "noc_fg", "noc_bg")
REDUCTIONS = ("image", "pixel")


class Evaluation:
    """Collects measures over strata, picture by picture.

    A subclass names its prediction and the prediction's channels, lists its measures with the
    reduction that stands under their short keys, and implements `_maps`.
    """

    _prediction, _channels, _measures = "", 0, {}

    def __init__(self, reduction):
        if reduction not in (None, *REDUCTIONS):
            raise ValueError(f'reduction must be "image", "pixel" or None, got {reduction!r}')
        self.reduction = reduction
        self.images = []
        self._sums = {}
        self._pixels = {stratum: 0 for _, stratum in self._keys()}
        self._objects_seen = False
        self._missing = 0

    def _maps(self, prediction, target):
        """{measure: values [h, w, 1]} of one picture."""
        raise NotImplementedError

    def _bands(self, target, arrays):
        """{stratum: mask [h, w, 1]} of what only the endpoint error is averaged over."""
        return {}

    def _keys(self):
        """(measure, stratum) of all averages, whether or not anything was counted."""
        return [(measure, stratum) for measure in self._measures for stratum in STRATA]

    def _object_keys(self):
        return [(measure, stratum) for measure in self._measures for stratum in OBJECT_STRATA]

    def _update(self, arrays, name):
        """Adds a picture [h, w, c] or a batch of them; nothing at all if one of them is wrong."""
        arrays = {key: np.asarray(value) for key, value in arrays.items() if value is not None}
        single = arrays[self._prediction].ndim == 3
        self._check_shapes(arrays)
        if single:
            arrays = {key: value[None] for key, value in arrays.items()}
        count = len(arrays[self._prediction])
        names = [name] if single else name
        if names is None or (single and name is None):
            names = [str(len(self.images) + index) for index in range(count)]
        if isinstance(names, str) or len(names) != count:
            raise ValueError(f"name must be a list of {count} names for this batch, got {name!r}")
        pictures = [
            self._measured({key: value[index] for key, value in arrays.items()}, names[index])
            for index in range(count)
        ]
        for picture in pictures:
            self._add(picture)

    def _check_shapes(self, arrays):
        shape, what, channels = arrays[self._prediction].shape, self._prediction, self._channels
        if len(shape) not in (3, 4) or shape[-1] != channels:
            raise ValueError(
                f"{what} must be [h, w, {channels}] or [b, h, w, {channels}], got shape {shape}"
            )
        for key, array in arrays.items():
            expected = shape if key in (what, "target") else (*shape[:-1], 1)
            if array.shape != expected:
                raise ValueError(
                    f"{key} must have shape {expected} to fit the {what}'s, got {array.shape}"
                )

    def _measured(self, arrays, name):
        """What one picture adds, without touching the evaluation."""
        prediction, target = arrays[self._prediction], arrays["target"]
        valid = arrays.get("valid", np.ones((*prediction.shape[:2], 1))) > 0.5
        unknown = valid & ~np.all(np.isfinite(target), axis=-1, keepdims=True)
        if unknown.any():
            raise ValueError(
                f"picture {name!r}: target is not finite at {int(unknown.sum())} pixels that valid "
                f"marks as known; expected finite values there"
            )
        target = np.where(valid, target, 0.0)
        maps = self._maps(prediction, target)
        masks = _strata(valid, arrays)
        bands = {key: valid & mask for key, mask in self._bands(target, arrays).items()}
        keys = self._keys() + (self._object_keys() if "objects" in arrays else [])
        masks |= bands
        sums = {
            (measure, stratum): float(np.sum(maps[measure][masks[stratum]]))
            for measure, stratum in keys
            if stratum in masks
        }
        finite = np.all(np.isfinite(prediction), axis=-1, keepdims=True)
        return {
            "name": name,
            "keys": keys,
            "sums": sums,
            "pixels": {stratum: int(mask.sum()) for stratum, mask in masks.items()},
            "missing": int(np.sum(valid & ~finite)),
            "objects": "objects" in arrays,
        }

    def _add(self, picture):
        row = {"name": picture["name"]}
        for key in picture["keys"]:
            row[_joined(key)] = None
            if key in picture["sums"]:
                row[_joined(key)] = mean(picture["sums"][key], picture["pixels"][key[1]])
                self._sums[key] = self._sums.get(key, 0.0) + picture["sums"][key]
        self.images.append(row)
        for stratum, count in picture["pixels"].items():
            self._pixels[stratum] = self._pixels.get(stratum, 0) + count
        self._missing += picture["missing"]
        self._objects_seen |= picture["objects"]

    def _averages(self):
        """{key: by the chosen reduction, key_per_image, key_per_pixel}, and the counts."""
        values = {}
        for measure, stratum in self._keys() + (self._object_keys() if self._objects_seen else []):
            key = _joined((measure, stratum))
            per_image = [row[key] for row in self.images if row.get(key) is not None]
            averages = {
                "image": mean(sum(per_image), len(per_image)),
                "pixel": mean(self._sums.get((measure, stratum), 0.0), self._pixels.get(stratum)),
            }
            values[key] = averages[self.reduction or self._habit(measure, stratum)]
            values[f"{key}_per_image"] = averages["image"]
            values[f"{key}_per_pixel"] = averages["pixel"]
        values["images"] = len(self.images)
        values |= {f"pixels_{stratum}": count for stratum, count in self._pixels.items()}
        values["missing"] = self._missing
        return values

    def _habit(self, measure, stratum):
        """The reduction where none was chosen: strata by speed, distance and so on are pooled."""
        return self._measures[measure] if stratum in STRATA + OBJECT_STRATA else "pixel"


def _strata(valid, arrays):
    """{stratum: mask} of one picture; without the maps they need, some are left out."""
    masks = {"all": valid}
    if "occlusion" in arrays:
        hidden = arrays["occlusion"] > 0.5
        masks |= {"noc": valid & ~hidden, "occ": valid & hidden}
    if "objects" in arrays:
        moving = arrays["objects"] > 0.5
        masks |= {"fg": valid & moving, "bg": valid & ~moving}
        if "noc" in masks:
            masks |= {"noc_fg": masks["noc"] & moving, "noc_bg": masks["noc"] & ~moving}
    return masks


def _joined(key):
    return "_".join(key)


def mean(total, count):
    """`total / count`, or None where nothing was counted."""
    return total / count if count else None
