"""One function in several processes of this machine, each with its rank; works in scripts and in notebooks alike."""
import json
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nblib import store


def run(function: Callable[..., object], count: int, **arguments: object) -> None:
    """Call `function(**arguments)` in `count` fresh processes at once, with the variables that torch.distributed reads.

    Arguments go as copies: what a process wants to give back, it writes to a file.

    Args:
        function: one that can be imported; what it returns is dropped.
        count: how many processes; each gets its share of the cores.
        arguments: whatever can be sent to another process.

    Raises:
        ValueError: arguments that another process cannot be given, such as a function defined in a notebook; or a
            ValueError of the function.
        RuntimeError: any other error of the function, or a process that was killed.
    """
    payload = _packed(function, arguments)
    command = store.tied("nblib.training.processes:child")
    with store.scratch() as folder:
        shared = {
            "PYTHONPATH": os.pathsep.join([str(store.ROOT), *(path or os.getcwd() for path in sys.path)]),
            "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "NBLIB_ERRORS": str(folder),
        }
        processes = []
        try:
            for rank in range(count):
                environ = os.environ | shared | {"LOCAL_RANK": str(rank)}
                with store.deaf():
                    processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, env=environ))
            for process in processes:
                _send(process, payload)
            while not any(process.poll() for process in processes) and None in [p.poll() for p in processes]:
                time.sleep(0.05)
            failed = [(rank, process.poll()) for rank, process in enumerate(processes) if process.poll()]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        _complain(failed, folder)


def _packed(function: Callable[..., object], arguments: dict[str, object]) -> bytes:
    """Return the call as bytes for the pipe, or say what cannot be sent."""
    try:
        payload = pickle.dumps((function, arguments))
        problem = "something in it is defined in the script or notebook itself" if b"__main__" in payload else None
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        problem = str(error)
    if problem:
        raise ValueError(
            f"several devices need copies in several processes, and not everything can be copied: {problem}. Put your "
            "own functions and classes into a module that can be imported; a lambda or a function within a function "
            "cannot"
        )
    return payload


def _send(process: subprocess.Popen, payload: bytes) -> None:
    """Send the work."""
    try:
        process.stdin.write(len(payload).to_bytes(8, "little") + payload)
        process.stdin.flush()
    except BrokenPipeError:
        process.wait()  # it died before it read; its exit status says so


def _free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _complain(failed: list[tuple[int, int]], folder: Path) -> None:
    """Raise what the first process to fail raised."""
    for rank, status in failed:
        said = folder / f"{rank}.json"
        if not said.exists():
            raise RuntimeError(f"process {rank} ended with status {status}: it was killed, perhaps for memory")
        error = json.loads(said.read_text())
        raise (ValueError if error["refused"] else RuntimeError)(error["message"])


def child() -> None:
    """Do the work of one process: read it from the pipe, run it, leave word of an error."""
    pipe = sys.stdin.buffer
    function, arguments = pickle.loads(pipe.read(int.from_bytes(pipe.read(8), "little")))
    try:
        function(**arguments)
    except Exception as error:
        said = {"refused": isinstance(error, ValueError), "message": str(error)}
        (Path(os.environ["NBLIB_ERRORS"]) / f"{os.environ['LOCAL_RANK']}.json").write_text(json.dumps(said))
        os._exit(1)  # an orderly end would wait for the other processes
