"""A frozen teacher's flow, written to files before a student learns from it."""

import hashlib
import shutil
from pathlib import Path

from absl import flags

from recipes import leftovers, records

FLAGS = flags.FLAGS


def write(teacher, source, folder):
    """The teacher's flow and occlusion of whole frames as PNGs; what is there already is kept.

    Returns the records that have labels: with --on_error=skip those that can be read.
    """
    from rich.progress import track

    from kcorr.datasets import Subset
    from kcorr.io import write_teacher_flow
    from kcorr.models.predict import Predictor
    from kcorr.pipelines import teacher_files

    open_folder(folder, digest_of(teacher))
    predict, read = Predictor(teacher), records.Reader(source, FLAGS.on_error)
    there = []
    for index in track(range(len(source)), "the teacher's flow", disable=not FLAGS.progress):
        forward, backward = teacher_files(folder, source.names[index])
        if not (forward.exists() and backward.exists()):
            record = read(index)
            if record is None:
                continue
            outer = {key: record[key] for key in ("image0", "image3") if key in record}
            result = predict(record["image1"], record["image2"], **outer)
            write_teacher_flow(forward, result["flow"], result["occlusion"], clip=True)
            write_teacher_flow(
                backward, result["flow_backward"], result["occlusion_backward"], clip=True
            )
        there.append(index)
    return Subset(source, there)


def open_folder(folder, digest):
    """Empties the folder unless its labels are of `digest`, and stamps it.

    The stamp is written before the first label, and labels without it count for nothing: however a
    run is killed, labels of another teacher are never taken for this one's.
    """
    from kcorr.io import atomic_write

    leftovers.remove(folder)
    stamp = folder / "teacher.sha256"
    if folder.exists() and not (stamp.exists() and stamp.read_text() == digest):
        shutil.rmtree(folder)
    if not folder.exists():
        folder.mkdir()
        with atomic_write(stamp) as temporary:
            temporary.write_text(digest)


def digest_of(teacher):
    """What labels depend on, as text: the teacher, and where the frames of a record come from."""
    data = [Path(path).absolute() for path in FLAGS.data_dir or ()]
    about = repr((sorted(teacher.get_config().items()), data, FLAGS.strides))
    weights = b"".join(weight.tobytes() for weight in teacher.get_weights())
    return hashlib.sha256(about.encode() + weights).hexdigest()
