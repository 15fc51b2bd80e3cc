"""Calls one function and keeps what it returns: python -m support.child JOB VALUE, see processes.py."""

import os
import pickle
import sys
from pathlib import Path


def main() -> None:
    job, value = map(Path, sys.argv[1:])
    function, arguments = pickle.loads(job.read_bytes())
    value.write_bytes(pickle.dumps(function(*arguments)))
    sys.stdout.flush()
    os._exit(0)  # vLLM's handlers at exit can hang a finished process


if __name__ == "__main__":
    main()
