"""Checkpoints that survive a kill: atomic, verified, the last few kept, the best beside them."""

import hashlib
import json
import logging
from pathlib import Path

import keras

from kcorr.io import atomic_write

_LOG = logging.getLogger("kcorr")


class Checkpoints(keras.callbacks.Callback):
    """Saves an objective at every epoch's end and brings back the newest intact state.

    A checkpoint is a weights file (network, optimizer, counters) and a small JSON file that is
    written last and holds its SHA-256: a file that a kill left half-written has no JSON, a damaged
    one does not match. Such a checkpoint is named in a warning and the one before it is used.

    Not saved is the position in the data stream: streams here are endless and shuffled, and a
    recipe starts a resumed stream with another seed.

    Args:
        folder: where the checkpoints lie; created if missing.
        keep: how many to keep.
        best: name of a logged value to minimise; the network's weights at its minimum are kept as
            `best.weights.h5`. None keeps no best.
    """

    def __init__(self, folder, keep=3, best=None):
        super().__init__()
        self.folder, self.keep, self.best = Path(folder), keep, best
        self.folder.mkdir(parents=True, exist_ok=True)

    def restore(self, objective):
        """Loads the newest intact checkpoint into a built and compiled objective.

        Returns:
            Steps taken so far, 0 if there is no checkpoint to go on from.

        Raises:
            ValueError: an intact checkpoint does not fit the objective (other network or
                optimizer).
        """
        objective.optimizer.build(objective.network.trainable_variables)
        for path in reversed(self._weight_files()):
            problem = self._problem(path)
            if problem:
                _LOG.warning("checkpoint %s %s: going on from the one before it", path, problem)
                continue
            try:
                objective.load_weights(path)
            except (ValueError, KeyError, OSError) as error:
                raise ValueError(
                    f"checkpoint {path} is intact but does not fit this run (other network or "
                    f"optimizer?): start with another --workdir or the old flags. {error}"
                ) from error
            return int(objective.optimizer.iterations)
        return 0

    def on_epoch_end(self, epoch, logs=None):
        """Saves the objective, and the network if it is the best so far."""
        logs = {name: float(value) for name, value in (logs or {}).items()}
        step = int(self.model.optimizer.iterations)
        path = self.folder / f"step_{step:08d}.weights.h5"
        _save(self.model, path)
        facts = {"step": step, "sha256": _digest(path), "logs": logs}
        _save_facts(path.with_suffix(".json"), facts)
        if self.best and self.best in logs and logs[self.best] < self._best_so_far():
            _save(self.model.network, self.folder / "best.weights.h5")
            _save_facts(self.folder / "best.json", {**facts, "value": logs[self.best]})
        for old in self._weight_files()[: -self.keep]:
            old.with_suffix(".json").unlink(missing_ok=True)
            old.unlink()

    def _weight_files(self):
        return sorted(self.folder.glob("step_*.weights.h5"))

    def _best_so_far(self):
        try:
            return json.loads((self.folder / "best.json").read_text())["value"]
        except (OSError, ValueError, KeyError):
            return float("inf")

    def _problem(self, path):
        facts = path.with_suffix(".json")
        if not facts.exists():
            return "is half-written (its JSON file is missing)"
        try:
            expected = json.loads(facts.read_text())["sha256"]
        except (ValueError, KeyError):
            return "is damaged (its JSON file cannot be read)"
        return None if expected == _digest(path) else "is damaged (its checksum is wrong)"


def _save(model, path):
    with atomic_write(path) as temporary:
        model.save_weights(temporary, overwrite=True)


def _save_facts(path, facts):
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(facts, indent=1))


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
