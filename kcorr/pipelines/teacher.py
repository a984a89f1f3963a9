"""A teacher's flow, computed before and stored as the authors of DDFlow store it."""

from pathlib import Path
from urllib.parse import quote

from kcorr import schema
from kcorr.io import read_teacher_flow

TEACHER = (
    schema.TEACHER_FLOW,
    schema.TEACHER_OCCLUSION,
    schema.TEACHER_FLOW_BACKWARD,
    schema.TEACHER_OCCLUSION_BACKWARD,
)


def teacher_files(folder, name):
    """Where the teacher's results for a record lie: (forward, backward) paths.

    They are `flow_occ_fw_<id>.png` and `flow_occ_bw_<id>.png`. The id is the record's name, in
    which characters that do not belong in a file's name are written %XX, so that no two records
    share a file.

    Args:
        folder: the folder of all results.
        name: of the record, `source.names[i]`.
    """
    number = quote(name, safe=" +,=()[]@")
    return tuple(Path(folder) / f"flow_occ_{way}_{number}.png" for way in ("fw", "bw"))


def with_teacher(source, folder):
    """A source whose records also hold the teacher's flow and occlusion, both directions.

    It wraps the source and not the stream, so that the teacher's maps pass through the same crops
    and mirrors as the pictures:
    `examples(with_teacher(source, folder), (*keys, *TEACHER))`.

    Args:
        source: a sequence of records.
        folder: holds the files of `teacher_files` for every record, written by
            `kcorr.io.write_teacher_flow`.

    Returns:
        A source with the same names; records have the keys `TEACHER` besides their own.

    Raises:
        FileNotFoundError: the folder or a file in it is missing; the message names the first.
    """
    return _WithTeacher(source, folder)


class _WithTeacher:
    def __init__(self, source, folder):
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"{folder}: no such folder of teacher's results")
        self.source, self.folder, self.names = source, Path(folder), source.names
        there = {path.name for path in self.folder.iterdir()}
        wanted = [path for name in self.names for path in teacher_files(folder, name)]
        missing = [path for path in wanted if path.name not in there]
        if missing:
            raise FileNotFoundError(
                f"{missing[0]}: no such file; {len(missing)} of {len(wanted)} files of the "
                f"teacher are missing"
            )

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        record = dict(self.source[index])
        size = record[schema.IMAGE1].shape[:2]
        keys = iter(TEACHER)
        for path in teacher_files(self.folder, self.names[index]):
            for array in read_teacher_flow(path):
                if array.shape[:2] != size:
                    raise ValueError(
                        f"{path} is {array.shape[1]}x{array.shape[0]}, expected the pictures' "
                        f"{size[1]}x{size[0]}"
                    )
                record[next(keys)] = array
        return record
