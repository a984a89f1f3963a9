"""Checkpoints that survive a kill: atomic, verified, the last few kept, the best beside them."""

import contextlib
import hashlib
import json
import logging
import math
import re
import warnings
from pathlib import Path

from kcorr.io import atomic_write, remove_leftovers
from kcorr.objectives.averages import averaged
from kcorr.objectives.steps import StepCallback, plain_logs, update_count

_LOG = logging.getLogger("kcorr")
_NAME = re.compile(r"step_(\d+)\.weights\.h5")


class Checkpoints(StepCallback):
    """Saves an objective at every epoch's end and brings back the newest intact state.

    A checkpoint is a weights file (raw weights of the network and all of the optimizer's state, its
    averages included) and a small JSON file that is written last and holds its SHA-256: a file that
    a kill left half-written has no JSON, a damaged one does not match. Such a checkpoint is named
    in a warning and the one before it is used.

    Where the optimizer averages weights (`use_ema`), `best.weights.h5` holds the average: it is
    what one wants to use. Let `ValidateAverage` make the validation measure the average, too.

    Not saved is the position in the data stream: streams here are endless and shuffled, and a
    recipe starts a resumed stream with another seed.

    Args:
        folder: where the checkpoints lie; created if missing. One run writes there at a time.
        keep: how many to keep, at least 1.
        best: name of a logged value to minimise; the network's weights at its minimum are kept as
            `best.weights.h5`, which the network alone can load. None keeps no best.

    Raises:
        ValueError: `keep` below 1.
    """

    def __init__(self, folder, keep=3, best=None):
        super().__init__()
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        self.folder, self.keep, self.best = Path(folder), keep, best
        self.folder.mkdir(parents=True, exist_ok=True)
        self.restored_logs = {}  # of the epoch at whose end the restored checkpoint was saved

    def restore(self, objective):
        """Loads the newest intact checkpoint into a built and compiled objective.

        Returns:
            Steps taken so far (skipped ones included), 0 if there is no checkpoint to go on from.

        Raises:
            ValueError: an intact checkpoint does not fit the objective (other network or
                optimizer).
        """
        objective.build_optimizer()
        remove_leftovers(self.folder, before=math.inf)  # no other run writes there
        files = self._weight_files()
        for path in reversed(files):
            try:
                facts = _verified(path, path.with_suffix(".json"))
            except ValueError as problem:
                _LOG.warning("checkpoint %s %s: going on from the one before it", path, problem)
                continue
            _load(objective, path, facts)
            objective.steps_done, self.restored_logs = facts["step"], facts.get("logs", {})
            return facts["step"]
        if files:
            _LOG.warning("no checkpoint in %s is intact: starting from step 0", self.folder)
        objective.steps_done = 0
        return 0

    def on_epoch_end(self, epoch, logs=None):
        """Saves the network if it is the best so far, and the objective."""
        super().on_epoch_end(epoch, logs)
        logs = plain_logs(logs)
        facts = {"step": self.step, "updates": update_count(self.model), "logs": logs}
        # The best first: a kill between the two repeats the epoch, the other way round its best
        # would be lost.
        value = logs.get(self.best)
        if value is not None and value < self._best_so_far():
            best = self.folder / "best.weights.h5"
            with averaged(self.model):
                _save(self.model.network, best)
            about = {**facts, "sha256": _digest(best), "value": value}
            _save_facts(best.with_name("best.json"), about)
        path = self.folder / f"step_{self.step:08d}.weights.h5"
        _save(self.model, path)
        _save_facts(path.with_suffix(".json"), {**facts, "sha256": _digest(path)})
        self._prune()

    def _prune(self):
        """Keeps the newest. A later step than now is a damaged one that the run went back from."""
        files = self._weight_files()
        past = [path for path in files if _step(path) <= self.step]
        for path in set(files) - set(past[-self.keep :]):
            # The JSON first: what a kill leaves is a half-written checkpoint, pruned next time.
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink()

    def _weight_files(self):
        files = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(files, key=_step)

    def _best_so_far(self):
        """The best's value; infinity where it is unknown, so that the next epoch makes a new best.

        A kill between its two files leaves weights that the JSON file does not speak of.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            facts = _verified(self.folder / "best.weights.h5", self.folder / "best.json")
            return float(facts["value"])
        return float("inf")


def _step(path):
    return int(_NAME.fullmatch(path.name)[1])


def _verified(path, facts_path):
    """The facts of an intact checkpoint; ValueError says what is wrong with another."""
    try:
        facts = json.loads(facts_path.read_text())
        expected, _ = facts["sha256"], int(facts["step"])
    except FileNotFoundError:
        raise ValueError("is half-written (its JSON file is missing)") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError("is damaged (its JSON file cannot be read)") from None
    if expected != _digest(path):
        raise ValueError("is damaged (its checksum is wrong)")
    return facts


def _load(objective, path, facts):
    try:
        with warnings.catch_warnings():
            # Keras leaves an optimizer with other variables as it is, and only warns.
            warnings.filterwarnings("error", message="Skipping variable loading")
            objective.load_weights(path)
    except (ValueError, KeyError, OSError, UserWarning) as error:
        raise ValueError(
            f"checkpoint {path} is intact but does not fit this run (other network or optimizer?): "
            f"start with another --workdir or the old flags. {error}"
        ) from error


def _save(model, path):
    with atomic_write(path) as temporary:
        model.save_weights(temporary, overwrite=True)


def _save_facts(path, facts):
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(facts, indent=1))


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
