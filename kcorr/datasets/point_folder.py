"""A folder of pictures with a table of key points: read, and written for generated objects."""

import csv
import io
from pathlib import Path

import numpy as np

from kcorr import schema
from kcorr.datasets.generated_objects import GeneratedObjects
from kcorr.datasets.source import Source
from kcorr.io import (
    FormatError,
    atomic_write,
    read_image,
    read_table,
    write_flow,
    write_image,
)

LAYOUT = """
pictures/
  points.csv
  a.jpg  more/b.png ...
points.csv:
  image,left_eye_x,left_eye_y,right_eye_x,right_eye_y
  a.jpg,31.5,40,60,41.25
  more/b.png,28,39,,            (empty: not known)
and, if wanted, a column `identity` (who it is) and columns like `left_eye_visible` (0 or 1)
"""


class PointFolder(Source):
    """A folder of pictures and a CSV table of key points.

    The first line names the columns: `image` (a path from the table's folder); `<name>_x` and
    `<name>_y` for each key point, in pixels with (0, 0) at the centre of the top left pixel;
    `<name>_visible` if known; `identity` if known, any word. An empty cell is an unknown point.

    Args:
        path: the folder, or the table itself.
        table: the table's name in the folder.

    Attributes:
        point_names: names of the key points, in the order of the columns.
        identities: the words of the column `identity`, sorted; None without one.

    Records: image1; where the table has key points, points1 and visible (1 = known, and not marked
    as hidden; unknown points are (0, 0)); where it has that column, identity, the word's index.
    Names are the column `image`.

    Raises:
        FileNotFoundError: no table, or pictures of it are missing; the message shows the layout.
        kcorr.io.FormatError: a table that cannot be understood, with the line.
    """

    def __init__(self, path, table="points.csv"):
        path = Path(path)
        self._table = path / table if path.suffix.lower() != ".csv" else path
        if not self._table.is_file():
            raise FileNotFoundError(f"{self._table}: no such table\nexpected:{LAYOUT.rstrip()}")
        rows = read_table(self._table)
        header = rows[0][1] if rows else []
        self.point_names = self._read_header(header)
        values = [self._read_row(header, line, row) for line, row in rows[1:]]
        if not values:
            raise FormatError(self._table, "no picture in this table", "a line for each")
        self.names = [one["image"] for one in values]
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise FormatError(self._table, f"{twice} stands there twice")
        gone = [name for name in self.names if not (self._table.parent / name).is_file()]
        if gone:
            more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
            raise FileNotFoundError(f"{self._table}: {gone[0]}{more} of this table not found")
        self._points = np.array([one["points"] for one in values], np.float32)
        self._visible = np.array([one["visible"] for one in values], np.float32)
        words = [one.get("identity") for one in values]
        self.identities = sorted(set(words)) if "identity" in header else None
        self._identity = [self.identities.index(w) for w in words] if self.identities else None

    def _read_header(self, header):
        names = [cell.removesuffix("_x") for cell in header if cell.endswith("_x")]
        known = {"image", "identity"}
        known |= {f"{name}{end}" for name in names for end in ("_x", "_y", "_visible")}
        lacking = [f"{name}_y" for name in names if f"{name}_y" not in header]
        strange = [cell for cell in header if cell not in known]
        if "image" not in header or lacking or strange or len(set(header)) < len(header):
            found = ", ".join(header) or "nothing"
            raise FormatError(
                self._table,
                f"the columns are {found}",
                "image, <name>_x, <name>_y for each point, and perhaps <name>_visible, identity",
            )
        return tuple(names)

    def _read_row(self, header, line, row):
        if len(row) != len(header):
            raise FormatError(
                self._table, f"line {line} has {len(row)} cells", f"{len(header)} as the first line"
            )
        cells = dict(zip(header, row, strict=True))
        points, visible = [], []
        for name in self.point_names:
            place = [cells[f"{name}_x"], cells[f"{name}_y"]]
            known = all(place)
            try:
                numbers = [float(cell) for cell in place] if known else [0.0, 0.0]
                seen = float(cells.get(f"{name}_visible") or 1)
            except ValueError:
                numbers, seen = [np.nan], np.nan
            if not np.isfinite([*numbers, seen]).all():
                raise FormatError(self._table, f"line {line}: {name} is no point", "numbers")
            points.append(numbers)
            visible.append([float(known and seen > 0.5)])
        return {
            **cells,
            "points": np.reshape(points, (-1, 2)),
            "visible": np.reshape(visible, (-1, 1)),
        }

    def _read(self, index):
        record = {schema.IMAGE1: read_image(self._table.parent / self.names[index])}
        if self.point_names:
            record[schema.POINTS1] = self._points[index]
            record[schema.VISIBLE] = self._visible[index]
        if self._identity is not None:
            record[schema.IDENTITY] = np.array([self._identity[index]], np.float32)
        return record


def write_objects(source, folder):
    """Writes generated objects as files that other programs read.

    Written are, for sequence 0 and frame 3:
        frames/00000/0003.png
        flow/00000/0003.flo            to the frame `stride` later
        occlusion/00000/0003.png       255 = hidden in that frame
        objects/00000/0003.png         number of the part, 0 = background
        points.csv                     key points and identities of all frames, see `PointFolder`

    Args:
        source: a `GeneratedObjects` whose pairs are within sequences.
        folder: where to; made if it is not there.

    Returns:
        The path of points.csv, which is written last.

    Raises:
        ValueError: a source of another kind, or of pairs across objects.
    """
    if not isinstance(source, GeneratedObjects) or source.across:
        raise ValueError("write_objects expects generated objects with pairs within sequences")
    folder = Path(folder)
    names = source.point_names
    header = ["image", "identity"]
    header += [f"{name}_{end}" for name in names for end in ("x", "y", "visible")]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    for sequence in range(source.sequences):
        for kind in ("frames", "flow", "occlusion", "objects"):
            (folder / kind / f"{sequence:05d}").mkdir(parents=True, exist_ok=True)
        for time in range(source.frames):
            name = f"{sequence:05d}/{time:04d}"
            record = source.pictures[sequence * source.frames + time]
            write_image(folder / f"frames/{name}.png", record[schema.IMAGE1])
            write_image(folder / f"objects/{name}.png", record[schema.OBJECTS].astype(np.uint8))
            if time + source.stride < source.frames:
                pair = source.pair((sequence, time), (sequence, time + source.stride))
                write_flow(folder / f"flow/{name}.flo", pair[schema.FLOW], pair[schema.VALID])
                hidden = pair[schema.OCCLUSION] > 0.5
                write_image(folder / f"occlusion/{name}.png", (255 * hidden).astype(np.uint8))
            points = np.concatenate([record[schema.POINTS1], record[schema.VISIBLE]], axis=-1)
            cells = [f"{value:.9g}" for value in points.ravel()]  # float32 reads back the same
            table.writerow([f"frames/{name}.png", int(record[schema.IDENTITY][0]), *cells])
    path = folder / "points.csv"
    with atomic_write(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return path
