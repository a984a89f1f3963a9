"""What each part of the method brings: the table of DistillFlow (Liu et al., TPAMI 2021) on scenes.

    python -m recipes.ablation_flow --network=spynet_small --workdir=runs/ablation
    python -m recipes.ablation_flow --network=spynet_small --rows=occlusion,data \
        --workdir=runs/ablation
    python -m recipes.ablation_flow --smoke --workdir=/tmp/ablation              # a minute

Rows: `start` (what the others start from), `none` (census everywhere), `occlusion` (hidden pixels
left out), `smoothness` (and edge-aware smoothness of weight --smoothness), `longer` (the same for
as many steps more as a student takes: what distillation must beat), `data` (a student of
`smoothness`, from which a crop and superpixels of noise hide what its teacher sees), `model` (a
student of --ensemble such students, taught in the same way by their mean). Of the families of
--challenges both see those that hide; the paper's students see all three.

The start is stage A (brightness, --brightness_steps) of a fresh network or of --init; stage A
compares hidden pixels, too, so that nothing is known about them afterwards. Each row learns in
WORKDIR/ROW; the same command again goes on where it was killed. A row that is not wanted but needed
by another is trained, not measured.

Occlusion handling needs flow that is right where it can be: while visible pixels are off by more
than the forward-backward check bears, it leaves out what it should learn from.

Students see crops of --size. --test_size measures at a size that neither they nor their teachers
have learned at, as the papers do with whole pictures; --size is the one that teachers know best.

With --smoothness=0 students learn from `occlusion`, and the rows are those of DDFlow's table.

The data are generated scenes with large occlusions: the training pictures' layers without labels
(only the two frames are read), the test pictures' with the exact flow, of hidden pixels too.
Students learn longer than their teachers by --student_steps: the column "steps" counts all steps
from nothing to the row's network, not those of the other members of its ensemble.
"""

from absl import flags

from recipes import common, evaluation, flow_unsupervised, networks, students

FLAGS = flags.FLAGS
ROWS = {
    "start": "start",
    "none": "census",
    "occlusion": "+ occlusion handling",
    "smoothness": "+ edge-aware smoothness",
    "longer": "the same, longer",
    "data": "+ data distillation",
    "model": "+ model distillation",
}
COLUMNS = (
    ("epe_all", "EPE all"),
    ("epe_noc", "noc"),
    ("epe_occ", "occ"),
    ("epe_out", "out of frame"),
    ("fl_all", "Fl all %"),
    ("fl_noc", "noc"),
)
TRAIN_SEED = 301
# The frames differ little in brightness, which stage A compares.
SCENES = {"photometric": 0.2, "noise_share": 0.0}

students.define_flags()
students.define_noise_flags()
students.define_challenges_flag(["occlusion"])
flags.DEFINE_list("rows", list(ROWS), "rows of the table")
flags.DEFINE_integer("ensemble", 2, "students that teach the last row", lower_bound=1)
flags.DEFINE_integer("train_scenes", 2000, "generated pairs to learn from", lower_bound=2)
flags.DEFINE_integer("test_scenes", 100, "generated pairs to measure", lower_bound=1)
flags.DEFINE_string("test_size", None, "of the pairs to measure, HEIGHTxWIDTH; default --size")
flags.DEFINE_float("max_motion", 32.0, "largest motion in pixels", lower_bound=1.0)
flags.DEFINE_list("layers", ["3", "8"], "fewest and most blobs of a scene; three hide much")
flags.DEFINE_float(
    "fast_share", 0.5, "share of layers that move fast", lower_bound=0, upper_bound=1
)
flags.register_validator(
    "layers",
    lambda n: len(n) == 2 and all(one.isdigit() for one in n) and 0 <= int(n[0]) <= int(n[1]),
    "--layers takes two numbers such as 3,8",
)
FLAGS.set_default("init", None)
FLAGS.set_default("frames", "2")  # a network of three sees the first of a scene's two frames twice
FLAGS.set_default("brightness_steps", 2000)
FLAGS.set_default("smoothness", 2.0)
common.check_choices("rows", ROWS)
common.check_size("test_size")
flags.register_validator("rows", bool, "--rows must name at least one row")
# Flags of the recipes this one is made of; here each row says what they would.
FIXED = ("data_dir", "strides", "frames", "photometric", "occlusion")
flags.register_multi_flags_validator(
    FIXED,
    lambda given: all(value == FLAGS[name].default for name, value in given.items()),
    f"the rows fix --{', --'.join(FIXED)}: leave them out",
)
# Flags on which training does not depend: at all, before students, before smoothness.
MEASURING = ("rows", "test_scenes", "test_size")
TEACHER = (
    *MEASURING, "ensemble", "challenges", *students.FLAG_NAMES, *students.NOISE_FLAGS,
)  # fmt: skip
PLAIN = (*TEACHER, "smoothness", "smoothness_order")


def main():
    """Trains and measures; writes WORKDIR/metrics.json and a network into each row's folder."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke("spynet_small")
        if not FLAGS["rows"].present:
            FLAGS.rows = ["none", "model"]  # the last stands on all but two of the others
        FLAGS.steps = FLAGS.brightness_steps = 2
        FLAGS.ensemble, FLAGS.train_scenes, FLAGS.test_scenes, FLAGS.max_motion = 1, 4, 1, 4.0
    train = scenes("train", FLAGS.train_scenes, TRAIN_SEED, common.training_size())
    training = Training(train, workdir)
    size = common.parse_size(FLAGS.test_size or FLAGS.size)
    test = scenes("test", FLAGS.test_scenes, evaluation.SCENE_SEED, size)
    # One network is measured, with each row's weights in turn: its graph is built only once.
    measured, results = networks.make_network(), {}
    method = evaluation.network_method(measured)
    for name in (name for name in ROWS if name in FLAGS.rows):
        measured.set_weights(training(name).get_weights())
        results |= evaluation.measure(test, {name: method})[0]
        results[name]["steps"] = steps_of(name)
        common.write_metrics(workdir, results)  # a killed run leaves the rows so far
    common.show(table(results))
    print(f"metrics: {workdir / 'metrics.json'}")


def scenes(split, length, seed, size):
    """Generated pairs whose layers are cut from the demo wheels' pictures of `split`."""
    from kcorr.datasets import Scenes, demo_images
    from kcorr.io import read_image

    textures = [read_image(path) for path in demo_images(split)]
    options = {"layers": tuple(map(int, FLAGS.layers)), "fast_share": FLAGS.fast_share, **SCENES}
    return Scenes(textures, size, length, seed, max_motion=FLAGS.max_motion, **options)


class Training:
    """`training(row)` is the row's trained network; what it builds on is trained once.

    Args:
        source: of pairs; only their frames are read.
        workdir: path; each row learns in a folder of its own.
    """

    def __init__(self, source, workdir):
        self.source, self.workdir = source, workdir
        self.networks = {}

    def __call__(self, name, member=0):
        """Member 0 of an ensemble is the row itself; the others have other seeds."""
        if (name, member) not in self.networks:
            before = self.before(name, member)
            network = students.copy_of(before[0]) if before else networks.make_network(FLAGS.init)
            folder = self.workdir / (f"{name}_{member}" if member else name)
            folder.mkdir(exist_ok=True)
            with students.seed_of(member):
                logs = self.learn(name, network, before, folder)
            networks.finish(network, folder, logs)
            self.networks[name, member] = network
        return self.networks[name, member]

    def before(self, name, member):
        """The networks a row starts from and learns from."""
        if name == "start":
            return []
        if name == "model":
            return [self("data", number) for number in range(FLAGS.ensemble)]
        if name in ("longer", "data"):  # without smoothness, as in DDFlow, of the row before it
            return [self("smoothness" if FLAGS.smoothness else "occlusion", member)]
        return [self("start")]

    def learn(self, name, network, teachers, folder):
        """`network` learns in place what its row adds. Returns the last logs."""
        if name == "model":
            return distil(network, teachers, self.source, folder, MEASURING)
        if name == "data":
            return distil(network, teachers, self.source, folder, (*MEASURING, "ensemble"))
        if name == "start" and not FLAGS.brightness_steps:
            return {}  # --init as it is
        ignore = PLAIN
        steps = FLAGS.brightness_steps if name == "start" else FLAGS.steps
        photometric = "brightness" if name == "start" else "census"
        method = {"photometric": photometric, "occlusion": name not in ("start", "none")}
        if name in ("smoothness", "longer"):
            method |= {"smoothness": FLAGS.smoothness, "order": int(FLAGS.smoothness_order)}
            ignore = TEACHER
        if name == "longer":
            steps = students.steps()
        return flow_unsupervised.train(network, self.source, folder, steps, ignore, **method)


def distil(student, teachers, source, folder, ignore):
    """The student learns in place, of teachers alone, under a challenge. Returns the last logs.

    As DistillFlow's it believes them wherever their own check does. One that learns only hidden
    pixels of a teacher, and visible ones by census (`HallucinatedFlow`), loses on the visible ones
    what smoothness taught the teacher.
    """
    from kcorr.objectives import ChallengedFlow

    weights = {"distillation": FLAGS.distillation}
    objective = ChallengedFlow(student, teachers, weights=weights, gamma=FLAGS.gamma)
    data = students.challenged(source, folder, **students.chosen_challenges())
    return students.train(objective, data, source, folder, ignore)


def steps_of(name):
    """Steps from nothing to the row's network."""
    if name == "start":
        return FLAGS.brightness_steps
    later = {"longer": 1, "data": 1, "model": 2}.get(name, 0) * students.steps()
    return FLAGS.brightness_steps + FLAGS.steps + later


def table(results):
    """A rich table of {row: result}."""
    from rich.table import Table

    size = FLAGS.test_size or FLAGS.size
    title = f"{FLAGS.network}, {FLAGS.test_scenes} scenes {size}, <= {FLAGS.max_motion:g} px"
    out = Table("method", *(heading for _, heading in COLUMNS), "steps", title=title)
    for column in out.columns[1:]:
        column.justify = "right"
    for name, result in results.items():
        values = (result[key] for key, _ in COLUMNS)
        cells = ("-" if value is None else f"{value:.2f}" for value in values)
        out.add_row(ROWS[name], *cells, str(result["steps"]))
    return out


if __name__ == "__main__":
    common.run(main)
