"""The tests."""
import os

from nblib import store

if "PYTEST_XDIST_WORKER" in os.environ:
    store.end_with(os.getppid())  # or it works on for a while where the tests are killed; before torch is imported
