"""Files are there completely or not at all."""

import os
import signal
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from kcorr.io import (
    atomic_write,
    remove_leftovers,
    write_disparity,
    write_flow,
    write_image,
    write_pfm,
)


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "a.weights.h5"
    with atomic_write(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".") and temporary.name.endswith("a.weights.h5")
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")
    with pytest.raises(error), atomic_write(target) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_block_may_replace_or_remove_the_temporary_file(tmp_path):
    with atomic_write(tmp_path / "a.txt") as temporary:
        other = tmp_path / "other"
        other.write_bytes(b"moved here")
        os.replace(other, temporary)
    assert (tmp_path / "a.txt").read_bytes() == b"moved here"
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "b.txt") as temporary:
        temporary.unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "atomic"):
        pass
    plain, atomic = (stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("plain", "atomic"))
    assert plain == atomic


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    with atomic_write(tmp_path / "link") as temporary:
        temporary.write_bytes(b"through")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "file").read_bytes() == b"through"


def test_long_names_of_any_alphabet(tmp_path):
    for name in ("n" * 250 + ".flo", "\N{OWL}" * 60 + ".flo", "with space, 'quote' & {brace}.flo"):
        write_flow(tmp_path / name, np.zeros((1, 1, 2)))
        assert (tmp_path / name).stat().st_size == 20


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: write_flow(folder / "a.flo", np.zeros((1, 1, 2))),
        lambda folder: write_disparity(folder / "a.png", np.ones((1, 1, 1))),
        lambda folder: write_pfm(folder / "a.pfm", np.zeros((1, 1, 1))),
        lambda folder: write_image(folder / "a.png", np.zeros((1, 1, 3), np.uint8)),
    ],
)
def test_every_writer_names_a_folder_that_is_missing_or_none(tmp_path, write):
    with pytest.raises(FileNotFoundError, match=r"a\.\w+: the folder .*gone does not exist$"):
        write(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"a\.\w+: .*file is not a folder$"):
        write(tmp_path / "file")


def test_a_folder_without_permission(tmp_path, monkeypatch):
    # The superuser may write everywhere, so the refusal is the operating system's in name only.
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with (
        pytest.raises(PermissionError, match=r"a\.flo: the folder .* is not writable$"),
        atomic_write(tmp_path / "a.flo"),
    ):
        pass


def test_folders_and_devices_are_never_replaced(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"), atomic_write(tmp_path):
        pass
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"), atomic_write(tmp_path / "pipe"):
        pass
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_killed_while_writing_the_old_file_is_whole(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    script = textwrap.dedent(
        """
        import os, signal, sys
        from kcorr.io import atomic_write
        with atomic_write(sys.argv[1]) as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(target)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"
    (left,) = set(tmp_path.iterdir()) - {target}
    remove_leftovers(tmp_path, before=left.stat().st_mtime)
    assert left.exists()
    remove_leftovers(tmp_path, before=left.stat().st_mtime + 1)
    assert list(tmp_path.iterdir()) == [target]


def test_only_old_leftovers_of_our_own_naming_go(tmp_path):
    """Of folders, those in which nothing was written for an hour."""
    hour, began = 3600, 1e9
    ours, others = ".0123456789ab.a.png", (".gitignore", ".0123456789AB.a", ".0123.a", "a.png")
    folders = {".00000000000a.tmp": 2 * hour, ".00000000000b.tmp": hour / 2}
    for name in (ours, *others):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / ours).touch()
    for name, age in folders.items():
        file = tmp_path / name / "variables" / "index"
        file.parent.mkdir(parents=True)
        file.touch()
        for path in (file, file.parent, file.parent.parent):
            os.utime(path, (0, 0))
        os.utime(file, (began - age, began - age))
    remove_leftovers(tmp_path, tmp_path / "missing", before=began)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, "deeper", ".00000000000b.tmp"}
    assert (tmp_path / "deeper" / ours).exists()


def test_the_package_is_light():
    script = "import sys, kcorr.io; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "kcorr" in loaded
    assert not loaded & {"tensorflow", "keras", "jax", "cv2", "scipy", "matplotlib"}
