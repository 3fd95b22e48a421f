"""Executing settings on the workers of a cluster: processes of this machine, or those of a running scheduler."""
import contextlib
import logging
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

from distributed import Client, LocalCluster, as_completed
from distributed.scheduler import KilledWorker

from nblib import store
from nblib.runs import chapters
from nblib.runs.environment import ALLOCATION
from nblib.runs.parameters import Refused, WorkFailed

PATIENCE = 10  # seconds for a scheduler to answer


def execute(chapter: str, values: Mapping[str, object], key: str) -> tuple[str | None, str]:
    """Execute a setting on a worker, in a process that ends with it; return the executed notebook, or None and why."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.update(ALLOCATION)  # Dask asks for the opposite, and a lab would take half as long again
    try:
        target = chapters.kept(chapter, values, shown=False)
        if target.stem != key:
            return None, ("its worker has other files: the library, the notebook, Python and what the parameters name have to "
                          "be the same")
        ((_, result),) = chapters.apart([(chapter, values, target)], progress=False)
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        return None, f"its worker: {error}"
    return (None, str(result)) if isinstance(result, chapters.ChapterFailed) else (result.read_text(), "")


@contextlib.contextmanager
def joined(workers: int, scheduler: str | None) -> Iterator[Client]:
    """Yield a client of the scheduler at an address, or of one that is begun here with so many worker processes.

    The workers of one that is begun here end with the block, at once, whatever they do.

    Raises:
        Refused: nothing answers at the address.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # lost workers are the scheduler's to replace
    if scheduler:
        try:
            client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise Refused(f"--scheduler {scheduler} was given, and no scheduler answers there: {error}; "
                          "`dask scheduler` begins one and prints its address") from None
        with client:
            if not client.scheduler_info()["workers"]:
                store.say(f"no worker yet, waiting for one: `dask worker {scheduler} --nthreads 1` begins one")
            yield client
        return
    with store.scratch() as folder, contextlib.ExitStack() as ends:
        with store.deaf():  # Ctrl-C is for this process to act upon
            cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, memory_limit=0, host="127.0.0.1",
                dashboard_address=None, local_directory=str(folder), silence_logs=logging.CRITICAL,
            )
            client = Client(cluster, set_as_default=False)
            ends.callback(_end, cluster, client)
        yield client


def _end(cluster: LocalCluster, client: Client) -> None:
    """End a cluster of this machine at once: what its workers execute ends with them."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        with contextlib.suppress(OSError):
            if nanny.pid:
                os.kill(nanny.pid, signal.SIGKILL)
    client.close(timeout=2)
    cluster.close(timeout=5)


def finish(chapter: str, work: Mapping[str, tuple[Mapping[str, object], Path]], *, workers: int,
           scheduler: str | None) -> Iterator[tuple[str, Path | str]]:
    """Execute settings (name to parameters and a place), and yield each as it ends: the page there, or why it failed.

    A setting whose worker dies is begun again on another one, as often as the scheduler allows, by default three times.

    Raises:
        WorkFailed: the scheduler went away.
    """
    with joined(workers, scheduler) as client:
        futures = {
            client.submit(execute, chapter, dict(values), target.stem, key=f"{chapter}-{target.stem}", pure=False): name
            for name, (values, target) in work.items()
        }
        for future in as_completed(futures, loop=client.loop):
            name = futures[future]
            if future.cancelled():
                raise WorkFailed("the scheduler went away; what was finished is kept, the same command goes on")
            error = future.exception()
            if isinstance(error, KilledWorker):
                yield name, "the workers that had it died, one after the other, perhaps for want of memory"
            elif error is not None:
                yield name, f"its worker: {type(error).__name__}: {error}"
            else:
                yield name, _kept(work[name][1], *future.result())


def _kept(target: Path, text: str | None, why: str) -> Path | str:
    """Return where an executed notebook is kept, put there if the worker has another store; or why there is none."""
    if text is None:
        return why
    if not chapters.whole(target):
        store.write(target, text)
    return target
