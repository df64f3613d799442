"""A clock that is wrong, for processes that have this folder on PYTHONPATH.

FAULTS_CLOCK holds two numbers: the seconds by which the clock is off from the start, and those by
which it jumps when the process is two seconds old. File times are the kernel's and stay right.
"""

import os
import time

_first, _jump = (float(word) for word in os.environ["FAULTS_CLOCK"].split())
_right, _right_ns, _begun = time.time, time.time_ns, time.monotonic()


def _off() -> float:
    return _first + (_jump if time.monotonic() - _begun > 2 else 0.0)


time.time = lambda: _right() + _off()
time.time_ns = lambda: _right_ns() + int(1e9 * _off())
