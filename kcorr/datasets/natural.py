"""Natural order of file names: frame_2 before frame_10."""

import re


def natural_key(name):
    """Sort key under which runs of digits compare as numbers and letters without case.

    The name itself comes last, so that "a01" and "a1" have a fixed order as well.
    """
    parts = [
        [int(part) if part.isdecimal() else part.casefold() for part in re.split(r"(\d+)", step)]
        for step in str(name).replace("\\", "/").split("/")
    ]
    return parts, str(name)
