"""What a killed run left half-written goes when the next one starts."""

import time

STARTED = time.time()  # seconds before the first sweep: TensorFlow is imported in between


def remove(*folders):
    """Removes temporary files from folders that this run writes to, but none in the making."""
    from kcorr.io import remove_leftovers

    remove_leftovers(*folders, before=STARTED)
