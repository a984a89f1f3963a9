"""Files that are there completely or not at all."""

import contextlib
import os
import secrets
import shutil
import stat
from pathlib import Path

# What `atomic_write` names its files, and exports and submissions the folders that they gather in.
_TEMPORARY = f".{12 * '[0-9a-f]'}.*"
_LONGEST_PAUSE = 3600  # seconds between two files in such a folder, while TensorFlow traces


@contextlib.contextmanager
def atomic_write(path):
    """Gives a temporary path beside `path`; renames it to `path` when the block ends well.

    The temporary file lies in the same folder (a rename across file systems is a copy, which can
    be interrupted), is hidden, and ends like `path`, so that writers which look at the suffix do
    the right thing. When the block raises, the temporary file is removed and what was at `path`
    before is untouched. A symbolic link is followed, as by `open`.

        with atomic_write("out/flow.flo") as temporary:
            temporary.write_bytes(data)

    Args:
        path: where the file shall be. Its folder must exist.

    Yields:
        a `pathlib.Path`: an empty file to be written, or replaced, by the block.

    Raises:
        FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError, OSError: one
            line that names the path, before the block runs.
    """
    target = Path(os.path.realpath(path))
    _refuse_what_is_no_file(path, target)
    # 48 characters of at most 4 bytes stay within the 255 bytes that a name may have.
    temporary = target.with_name(f".{secrets.token_hex(6)}.{target.name[-48:]}")
    try:
        # Mode "x" gives the permissions of any new file; tempfile would give 0600.
        with open(temporary, "xb"):
            pass
    except OSError as error:
        raise _writing_error(path, target.parent, error) from error
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_bytes(path, data):
    """Writes `data` to `path` by `atomic_write`."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def remove_leftovers(*folders, before):
    """Removes the temporary files and folders of kcorr's processes that were killed.

    Args:
        *folders: paths; what is not there is passed over, and what lies deeper stays.
        before: seconds since 1970. A file that was written to later may be another process's and
            stays. Into a folder files come at intervals: it goes if nothing in it was written to
            for an hour before.
    """
    for folder in folders:
        for path in Path(folder).glob(_TEMPORARY):
            # Another process may be quicker, and what another user left is not ours to remove.
            with contextlib.suppress(OSError):
                if not path.is_dir():
                    if path.lstat().st_mtime < before:
                        path.unlink()
                elif _last_written(path) < before - _LONGEST_PAUSE:
                    shutil.rmtree(path)


def _last_written(folder):
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))


def _refuse_what_is_no_file(path, target):
    """A rename onto a device such as /dev/null would replace the device."""
    try:
        mode = os.stat(target).st_mode
    except OSError:
        return  # Not there, or unreachable: opening the temporary file says which.
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path}: is a folder; expected the name of a file to write")
    if not stat.S_ISREG(mode):
        raise OSError(f"{path}: is not a regular file, so it cannot be replaced")


def _writing_error(path, folder, error):
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{path}: the folder {folder} does not exist")
    if isinstance(error, NotADirectoryError):
        return NotADirectoryError(f"{path}: {folder} is not a folder")
    if isinstance(error, PermissionError):
        return PermissionError(f"{path}: the folder {folder} is not writable")
    return type(error)(f"{path}: cannot be written ({error.strerror or error})")
