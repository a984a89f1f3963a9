"""Progress, log, TensorBoard and pictures: what a person sees of a run."""

import io
import json
import logging

import numpy as np
import pytest
import tensorflow as tf
from _toy_objective import assert_same_state, bad_batch, fit, state, toy, toy_arrays, toy_data
from PIL import Image

from kcorr.objectives import Board, Checkpoints, JsonLines, Pictures, Progress, draw_batch

TWO_EPOCHS = {"epochs": 2, "steps_per_epoch": 3}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def log_run(path, epochs, first=0, done=0, every=None):
    objective = toy()
    objective.steps_done = done
    callbacks = [JsonLines(path, every=every)]
    fit(
        objective,
        toy_data(repeat=True),
        initial_epoch=first,
        epochs=epochs,
        steps_per_epoch=3,
        callbacks=callbacks,
    )


# === JSON lines ===


def test_a_line_an_epoch_holds_the_logs(tmp_path):
    path = tmp_path / "log.jsonl"
    objective = toy()
    data = toy_data(repeat=True)
    history = fit(
        objective, data, validation_data=toy_data(), callbacks=[JsonLines(path)], **TWO_EPOCHS
    )
    found = lines(path)
    assert [(line["epoch"], line["step"]) for line in found] == [(0, 3), (1, 6)]
    for name, values in history.items():
        assert [line[name] for line in found] == pytest.approx(values)
    assert {"val_loss", "loss", "seconds"} <= set(found[0])
    assert found[0]["learning_rate"] == pytest.approx(1e-2)


def test_lines_between_and_never_two_of_one_step(tmp_path):
    log_run(tmp_path / "log.jsonl", epochs=2, every=2)
    assert [line["step"] for line in lines(tmp_path / "log.jsonl")] == [2, 3, 4, 6]
    log_run(tmp_path / "log.jsonl", epochs=2, every=1)
    found = lines(tmp_path / "log.jsonl")
    assert [line["step"] for line in found] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in found if "epoch" in line] == [3, 6]


def test_a_resumed_run_drops_what_it_goes_back_behind(tmp_path):
    path = tmp_path / "log.jsonl"
    log_run(path, epochs=2, every=1)
    first = path.read_text().splitlines()[:3]
    with open(path, "a") as file:
        file.write('{"step": 2, "lo')  # the kill came while a line was written
    log_run(path, first=1, epochs=3, done=3, every=1)
    assert path.read_text().splitlines()[:3] == first
    assert [line["step"] for line in lines(path)] == list(range(1, 10))


@pytest.mark.parametrize("junk", ["", "\n\n", "not json\n", '[1]\n{"a": 1}\n{"step": null}\n'])
def test_lines_that_are_not_ours_do_not_stop_a_run(tmp_path, junk):
    path = tmp_path / "log.jsonl"
    path.write_text(junk)
    log_run(path, first=1, epochs=2, done=3)
    assert [line["step"] for line in lines(path)] == [6]


def test_a_new_run_begins_a_new_log(tmp_path):
    for _ in range(2):
        log_run(tmp_path / "log.jsonl", epochs=1)
    assert len(lines(tmp_path / "log.jsonl")) == 1


def test_what_is_not_finite_is_null_in_strict_json(tmp_path):
    path = tmp_path / "log.jsonl"
    fit(toy(), tf.data.Dataset.from_tensors(bad_batch()), callbacks=[JsonLines(path)])

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    line = json.loads(path.read_text(), parse_constant=refuse)
    assert line["loss"] is None and line["skipped_steps"] == 1


# === Progress ===


def test_without_a_terminal_there_is_one_plain_line_an_epoch():
    stream = io.StringIO()
    fit(toy(), toy_data(repeat=True), callbacks=[Progress(stream=stream)], **TWO_EPOCHS)
    one, two = stream.getvalue().splitlines()
    assert one.startswith("step 3/6  ") and two.startswith("step 6/6  ")
    assert "loss 0." in one and "fit 0." in one and " steps/s  0:00 left" in two
    assert "\x1b" not in one and "skipped" not in one


def test_skipped_steps_are_shown_when_there_are_any():
    stream = io.StringIO()
    data = tf.data.Dataset.from_tensors(bad_batch())
    fit(toy(), data, callbacks=[Progress(stream=stream)])
    assert "skipped_steps 1" in stream.getvalue() and "loss nan" in stream.getvalue()


def test_a_restored_run_counts_on():
    stream, objective = io.StringIO(), toy()
    objective.steps_done = 90
    fit(objective, toy_data(), callbacks=[Progress(100, stream=stream)])
    assert stream.getvalue().startswith("step 94/100  ")


@pytest.mark.parametrize("columns", ["20", "60", "200"])
def test_on_a_terminal_there_is_a_bar(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    stream = io.StringIO()
    with Progress(stream=stream, terminal=True) as progress:
        fit(toy(), toy_data(repeat=True), callbacks=[progress], **TWO_EPOCHS)
    text = stream.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is back
    if columns == "200":
        assert "6/6" in text and "loss" in text and "steps/s" in text


def test_an_exception_in_fit_leaves_the_terminal_as_it_was():
    stream = io.StringIO()

    class Fails(Progress):
        def on_train_batch_begin(self, batch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Fails(stream=stream, terminal=True) as progress:
        fit(toy(), toy_data(), callbacks=[progress])
    assert stream.getvalue().count("\x1b[?25h") == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_a_display_that_fails_does_not_end_the_run(caplog, terminal):
    class Broken(io.StringIO):
        def write(self, text):
            raise OSError("the terminal went away")

    with (
        caplog.at_level(logging.WARNING, "kcorr"),
        Progress(stream=Broken(), terminal=terminal) as p,
    ):
        history = fit(toy(), toy_data(repeat=True), callbacks=[p], **TWO_EPOCHS)
    assert len(history["loss"]) == 2
    assert "the terminal went away" in caplog.messages[0] and len(caplog.messages) == 1


# === Pictures and TensorBoard ===


def draw(batch, output):
    """Red is what the network says, green what is true."""
    picture = np.zeros((*output.shape, 3), np.uint8)
    picture[..., 0] = np.clip(output * 100 + 128, 0, 255)
    picture[..., 1] = np.clip(batch["y"] * 100 + 128, 0, 255)
    return {"toy": picture}


@pytest.fixture
def with_dict_network(monkeypatch):
    """The toy's network takes an array; flow networks take the batch."""
    objective = toy()
    network = objective.network
    call = network.call
    monkeypatch.setattr(network, "call", lambda batch, **kwargs: _call(call, batch, **kwargs))
    return objective


def _call(call, batch, **kwargs):
    return call(batch["x"] if isinstance(batch, dict) else batch, **kwargs)


BATCH = toy_arrays(5)


def test_pictures_show_the_average_of_a_fixed_batch(with_dict_network):
    objective = with_dict_network
    first, bias, second, bias2 = objective.network.get_weights()
    y = np.tanh(BATCH["x"] @ first + bias) @ second + bias2
    before = state(objective)
    picture = draw_batch(objective, BATCH, draw)["toy"]
    assert np.abs(picture.astype(int) - draw(BATCH, y)["toy"]).max() <= 1
    assert_same_state(before, state(objective))


def test_pictures_are_written_before_while_and_at_the_end(tmp_path, with_dict_network):
    data = toy_data(repeat=True)
    pictures = Pictures(tmp_path / "new", BATCH, draw, every=2)
    fit(with_dict_network, data, epochs=3, steps_per_epoch=2, callbacks=[pictures])
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == [f"toy_{step:08d}.png" for step in (0, 4, 6)]
    before, _, after = (np.asarray(Image.open(tmp_path / "new" / name)) for name in names)
    assert before.shape == (5, 2, 3)
    np.testing.assert_array_equal(before[..., 1], after[..., 1])  # the same batch
    assert (before[..., 0] != after[..., 0]).any()  # another network
    np.testing.assert_array_equal(after, draw_batch(with_dict_network, BATCH, draw)["toy"])


def test_a_resumed_run_does_not_draw_a_before(tmp_path, with_dict_network):
    with_dict_network.steps_done = 10
    fit(with_dict_network, toy_data(), callbacks=[Pictures(tmp_path, BATCH, draw)])
    assert [path.name for path in tmp_path.iterdir()] == ["toy_00000014.png"]


def events(folder):
    """[(step, tag, value or picture)] of all event files."""
    found = []
    for path in sorted(folder.glob("events*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                tensor = tf.make_ndarray(value.tensor)
                found.append((event.step, value.tag, tensor))
    return found


def test_the_board_gets_scalars_and_pictures(tmp_path, with_dict_network):
    board = Board(tmp_path, BATCH, draw)
    data = toy_data(repeat=True)
    history = fit(
        with_dict_network, data, validation_data=toy_data(), callbacks=[board], **TWO_EPOCHS
    )
    train, held_out = events(tmp_path / "train"), events(tmp_path / "validation")
    losses = [(step, float(value)) for step, tag, value in train if tag == "loss"]
    assert losses == [
        (3, pytest.approx(history["loss"][0])),
        (6, pytest.approx(history["loss"][1])),
    ]
    assert {tag for _, tag, _ in train} >= {"learning_rate", "gradient_norm", "skipped_steps"}
    assert [float(v) for _, tag, v in held_out if tag == "loss"] == pytest.approx(
        history["val_loss"]
    )
    assert [step for step, tag, _ in train if tag == "toy"] == [0, 3, 6]
    width, height, png = next(value for _, tag, value in reversed(train) if tag == "toy")
    assert (int(width), int(height)) == (2, 5)
    decoded = tf.io.decode_png(png).numpy()
    np.testing.assert_array_equal(decoded, draw_batch(with_dict_network, BATCH, draw)["toy"])


def test_a_board_of_scalars_alone(tmp_path):
    fit(toy(), toy_data(), callbacks=[Board(tmp_path)])
    assert {step for step, _, _ in events(tmp_path / "train")} == {4}
    assert not (tmp_path / "validation").exists()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: Board(path, batch=BATCH), "both batch and draw"),
        (lambda path: Board(path, every=0), "at least 1 epoch, got 0"),
        (lambda path: Pictures(path, BATCH, draw, every=0), "at least 1 epoch, got 0"),
        (lambda path: JsonLines(path, every=0), "at least 1 step, got 0"),
    ],
)
def test_nonsense_is_refused(tmp_path, make, message):
    with pytest.raises(ValueError, match=message):
        make(tmp_path)


def test_all_together_in_one_resumed_run(tmp_path, with_dict_network):
    def callbacks():
        return [
            Progress(6, stream=io.StringIO()),
            JsonLines(tmp_path / "log.jsonl"),
            Pictures(tmp_path / "pictures", BATCH, draw),
            Board(tmp_path / "board", BATCH, draw),
            Checkpoints(tmp_path / "checkpoints", best="loss"),
        ]

    for first in (0, 1):
        used = callbacks()
        assert used[-1].restore(with_dict_network) == 3 * first
        data = toy_data(repeat=True)
        fit(
            with_dict_network,
            data,
            initial_epoch=first,
            epochs=first + 1,
            steps_per_epoch=3,
            callbacks=used,
        )
    assert [line["step"] for line in lines(tmp_path / "log.jsonl")] == [3, 6]
    assert len(list((tmp_path / "pictures").iterdir())) == 3
