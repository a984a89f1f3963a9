"""DistillFlow (Liu et al., TPAMI 2021): students under challenges, then a student of an ensemble.

    python -m recipes.flow_distillflow --data_dir=my/video.mp4 --workdir=runs/distillflow
    python -m recipes.flow_distillflow --stage=model --members=a.keras,b.keras \
        --data_dir=my/video.mp4 --workdir=runs/another_student
    python -m recipes.flow_distillflow --smoke --workdir=/tmp/distillflow        # seconds

--ensemble teachers learn photometrically, each from a seed of its own (WORKDIR/teacher_0, ...).
Data distillation: each teaches a student that sees crops with noise, other colours and other views
(WORKDIR/data_0, ...). Model distillation: the mean flow of these students, with occlusion found
afresh, teaches one more student in the same way (WORKDIR). The stages can be run one by one:
--stage=data takes the teachers' weights as --members, --stage=model the students'.

The paper's number of teachers, its fusion rule, its ranges and its smoothness are not known. Two
teachers and their mean are this library's, the ranges ARFlow's, the smoothness UFlow's for Sintel,
halved as the authors' census loss is half of UFlow's (KITTI: --smoothness=1 --smoothness_order=2).
"""

from absl import flags

from recipes import common, flow_unsupervised, frames, networks, students

FLAGS = flags.FLAGS
flags.DEFINE_enum("stage", "all", ("all", "teachers", "data", "model"), "what to train")
flags.DEFINE_integer("ensemble", 2, "teachers", lower_bound=1)
flags.DEFINE_list("members", [], "weights of trained networks, for --stage=data and --stage=model")
flags.DEFINE_float(
    "agreement",
    None,
    "pixels; the ensemble teaches only where any two of its flows are closer",
    lower_bound=1e-6,
)
students.define_flags()
students.define_noise_flags()
students.define_challenges_flag()
# Flags that the teachers' training does not depend on, and those that data distillation does not.
MODEL = ("stage", "ensemble", "members", "agreement")
STUDENT = (*MODEL, "challenges", *students.FLAG_NAMES, *students.NOISE_FLAGS)
FLAGS.set_default("smoothness", 2.0)
flags.register_multi_flags_validator(
    ["stage", "members"],
    lambda given: bool(given["members"]) == (given["stage"] in ("data", "model")),
    "--members, the weights of trained networks, belong to --stage=data and --stage=model",
)
flags.register_multi_flags_validator(
    ["agreement", "ensemble", "members"],
    lambda given: given["agreement"] is None or (len(given["members"]) or given["ensemble"]) > 1,
    "--agreement compares two or more teachers",
)


def main():
    """Trains; writes the networks into each stage's folder and the last into WORKDIR."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke("spynet_small")
        FLAGS.ensemble, FLAGS.agreement = min(FLAGS.ensemble, 1), None
    source = frames.open_pairs()
    members = [networks.make_network(path, learns=False) for path in FLAGS.members]
    if FLAGS.stage in ("all", "teachers"):
        members = train_teachers(source, workdir)
    if FLAGS.stage in ("all", "data"):
        members = [
            train_student(teacher, [teacher], source, workdir / f"data_{number}", number, MODEL)
            for number, teacher in enumerate(members)
        ]
    if FLAGS.stage in ("all", "model"):
        train_student(members[0], members, source, workdir, ignore=("stage", "members"))


def train_teachers(source, workdir):
    """--ensemble networks that learned photometrically, each with its own seed."""
    teachers = []
    for number in range(FLAGS.ensemble):
        folder = workdir / f"teacher_{number}"
        folder.mkdir(exist_ok=True)
        with students.seed_of(number):
            network = networks.make_network(FLAGS.init)
            logs = flow_unsupervised.train_stages(network, source, folder, STUDENT)
        networks.finish(network, folder, logs)
        teachers.append(network)
    return teachers


def train_student(start, teachers, source, workdir, number=0, ignore=()):
    """A student that begins as `start` and learns from `teachers`; its folder is `workdir`."""
    from kcorr.objectives import ChallengedFlow

    workdir.mkdir(exist_ok=True)
    with students.seed_of(number):
        student = students.copy_of(start)
        objective = ChallengedFlow(
            student,
            teachers,
            agreement=FLAGS.agreement if len(teachers) > 1 else None,
            weights={"distillation": FLAGS.distillation},
            gamma=FLAGS.gamma,
        )
        data = students.challenged(source, workdir, **students.chosen_challenges())
        logs = students.train(objective, data, source, workdir, ignore)
    networks.finish(student, workdir, logs)
    return student


if __name__ == "__main__":
    common.run(main)
