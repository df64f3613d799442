"""Exceptions of exhausted memory: their real messages, what is none, and going on after one."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.errors import BadData, OutOfMemory, Stopped
from workflow_src.limits import MB, resident
from workflow_src.training.out_of_memory import exhausted, free

# --------------------------------------------------------------------------- messages

# Observed with torch 2.13 (CPU build), numpy 2 and h5py 3 under RLIMIT_DATA.
HOST = [
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 81920000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("could not create a primitive"),
    RuntimeError("MKL FFT error: Intel oneMKL DFTI ERROR: Not enough memory to allocate"),
    RuntimeError("MKL FFT error: Intel oneMKL DFTI ERROR: Inconsistent configuration parameters"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("can't start new thread"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError("Can't synchronously read data (memory allocation failed for raw data chunk)"),
    KeyError(
        "Unable to synchronously open object (memory allocation failed for temporary property "
        "value)"
    ),
    ImportError("/lib/_sparsetools.so: failed to map segment from shared object"),
    RuntimeError("DataLoader worker (pid(s) 4711, 4712) exited unexpectedly"),
    # Not observed: from the strings of torch's libraries, its sources and reports of others.
    RuntimeError("could not create a memory object"),
    RuntimeError("could not execute a primitive"),
    RuntimeError("DataLoader worker (pid 4711) is killed by signal: Killed. "),
    RuntimeError(
        "DataLoader worker (pid 4711) is killed by signal: Bus error. It is possible that "
        "dataloader's workers are out of shared memory."
    ),
    RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2>: No space left"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
]
# Unproven here, where there is no GPU: as torch, NCCL and CUDA's libraries word them.
GPU = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation'"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    RuntimeError(
        "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"
    ),
    RuntimeError("CUDA error: CUSPARSE_STATUS_ALLOC_FAILED when calling `cusparseCreate(handle)`"),
    RuntimeError(
        "NCCL error in: ProcessGroupNCCL.cpp:3690, unhandled cuda error, NCCL version 2.27.5\n"
        "ncclUnhandledCudaError: Call to CUDA function failed.\n"
        "Last error:\nCuda failure 2 'out of memory'"
    ),
    RuntimeError("ncclUnhandledCudaError: Last error:\nFailed to CUDA calloc async 2432 bytes"),
]
NEITHER = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x4)"),
    RuntimeError(
        "could not create a primitive descriptor for the convolution forward propagation "
        "primitive. Run workload with environment variable ONEDNN_VERBOSE=all to get additional "
        "diagnostic information."
    ),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasSgemm(...)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
    RuntimeError("MKL FFT error: Intel oneMKL DFTI ERROR: Functionality is not implemented"),
    ImportError("/tmp/a.so: failed to map segment from shared object: Operation not permitted"),
    ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),
    OSError(errno.ENOSPC, "No space left on device"),
    BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    ValueError("the recording 'MemoryError' has no span"),
    KeyboardInterrupt(),
    Stopped("deadline", "the time is up"),
    BadData("A file of a rig's store is damaged or was cut short.", found="fletcher32"),
]


def name(error: BaseException) -> str:
    return f"{type(error).__name__}-{re.sub(r'[^a-zA-Z ]', '', str(error))[:40]}"


@pytest.mark.parametrize("error", HOST, ids=name)
def test_host_memory(error: Exception) -> None:
    assert exhausted(error) == "host"


@pytest.mark.parametrize("error", GPU, ids=name)
def test_gpu_memory(error: Exception) -> None:
    assert exhausted(error) == "gpu"


@pytest.mark.parametrize("error", NEITHER, ids=name)
def test_no_memory(error: BaseException) -> None:
    assert exhausted(error) is None


def test_real_errors_of_shapes_and_types_are_none() -> None:
    for work in (
        lambda: torch.randn(2, 3) @ torch.randn(4, 4),
        lambda: torch.fft.rfft(torch.zeros(0)),
        lambda: torch.fft.rfft(torch.zeros(8).bfloat16()),
        lambda: torch.conv1d(torch.randn(1, 2, 8), torch.randn(4, 3, 3)),
        lambda: np.zeros(3).reshape(2, 2),
        lambda: h5py.File(os.devnull + "/none", "r"),
    ):
        with pytest.raises((RuntimeError, ValueError, OSError)) as caught:
            work()
        assert exhausted(caught.value) is None


def test_a_worker_that_ended_is_host_memory_and_its_text_is_read_by_the_line() -> None:
    head = "Caught {0} in DataLoader worker process 0.\nOriginal Traceback (most recent call last):"
    frame = '  File "windows.py", line 3, in read\n    raise MemoryError  # could not, in words\n'
    last = "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8.00 GiB"
    assert exhausted(RuntimeError(f"{head}\n{frame}{last}")) == "host"
    assert exhausted(RuntimeError(f"{head}\n{frame}MemoryError\n")) == "host"
    chained = f"{frame}OSError: Can't read data (memory allocation failed for raw data chunk)\n"
    chained += "\nThe above exception was the direct cause of the following exception:\n\n"
    assert exhausted(BadData(f"{head}\n{chained}{frame}BadData: A file is damaged.")) == "host"
    assert exhausted(BadData(f"{head}\n{frame}BadData: A file is damaged.")) is None


def chained(*links: Exception, cause: bool) -> Exception:
    """The last of `links`, each raised from, or while handling, the one before."""
    for one, other in itertools.pairwise(links):
        if cause:
            other.__cause__ = one
        else:
            other.__context__ = one
    return links[-1]


@given(before=st.integers(0, 3), after=st.integers(0, 3), cause=st.booleans())
def test_it_is_found_anywhere_in_a_chain(before: int, after: int, cause: bool) -> None:
    links = [ValueError(str(i)) for i in range(before + after)]
    assert exhausted(chained(ValueError(), *links, cause=cause)) is None
    links.insert(before, MemoryError())  # type: ignore[arg-type]
    assert exhausted(chained(*links, cause=cause)) == "host"


def test_what_a_traceback_would_not_show_does_not_count() -> None:
    error = ValueError("another")
    error.__context__ = MemoryError()
    assert exhausted(error) == "host"
    error.__suppress_context__ = True  # raise ... from None
    assert exhausted(error) is None
    loop = ValueError("its own cause")
    loop.__cause__ = RuntimeError("of it")
    loop.__cause__.__cause__ = loop
    assert exhausted(loop) is None


def test_our_own_error_says_of_what_and_an_order_to_end_is_none() -> None:
    assert exhausted(OutOfMemory("Out of memory.", of="gpu")) == "gpu"
    for order in (KeyboardInterrupt(), Stopped("terminated", "SIGTERM")):
        order.__context__ = MemoryError()
        assert exhausted(order) is None


# --------------------------------------------------------------------------- real failures

# Each case runs in a fork of its own: what it has loaded, its heap and its limit end with it.
PROVOKE = """
import json, mmap, os, sys, threading
import h5py, numpy as np, torch, torch.nn.functional as F
from workflow_src.limits import private_memory_now, limit_private_memory
from workflow_src.training.out_of_memory import exhausted

torch.set_num_threads(1)
MB = 2**20
folder = sys.argv[1]
with h5py.File(folder + "/signal.h5", "w") as file:
    zeros = np.zeros((2**20, 2), np.float32)
    file.create_dataset("x", data=zeros, chunks=(8192, 2), fletcher32=True)

def limit(mb):
    limit_private_memory(private_memory_now() + int(mb * MB))

def fill():
    # Blocks down to a few bytes; the last are let go of, so that some work is begun.
    limit(1)
    blocks, size = [], 2**18
    while size >= 48:
        try:
            while True:
                blocks.append(bytearray(size))
        except MemoryError:
            size //= 2
    return blocks

def linear():
    layer, x = torch.nn.Linear(1024, 1024), torch.randn(20000, 1024)
    limit(20)
    layer(x)

def backward():
    x = torch.randn(10000, 1024, requires_grad=True)
    y = (x * x).sum()
    limit(10)
    y.backward()

def convolutions():
    limit(8)
    kept = [F.conv1d(torch.randn(2, i, 64), torch.randn(i, i, 3)) for i in range(2, 4000)]

def fourier_plan():
    x = torch.randn(2**22 - 3)
    limit(20)
    torch.fft.rfft(x)

def fourier_buffer():
    x = torch.randn(2**22 - 3)
    limit(80)
    torch.fft.rfft(x)

def embedding():
    limit(100)
    torch.nn.Embedding(2**20, 256)

def array():
    limit(10)
    np.empty(2**30)

def objects():
    limit(10)
    kept = [bytearray(100000) for _ in range(10**6)]

def mapping():
    limit(10)
    mmap.mmap(-1, 2**31, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

def thread():
    limit(1)
    threading.Thread(target=print).start()

def hdf5():
    signal = h5py.File(folder + "/signal.h5", "r", locking=False)["x"]
    signal[:5]
    blocks = fill()
    for start in range(8192, 2**20, 8192):
        signal[start : start + 5]
        del blocks[-2:]

def shape():
    limit(100)
    torch.randn(2, 3) @ torch.randn(4, 4)

def run(case):
    try:
        case()
    except BaseException as error:
        limit_private_memory(2**60)
        return [exhausted(error), type(error).__name__, str(error)]
    return [None, "", "it did not fail"]

for case in (linear, backward, convolutions, fourier_plan, fourier_buffer, embedding,
             array, objects, mapping, thread, hdf5, shape):
    if len(sys.argv) > 2 and case.__name__ not in sys.argv[2:]:
        continue
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, json.dumps(run(case)).encode())
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 65536) or b'["crash", "", ""]'
    os.close(reader)
    os.wait()
    print(json.dumps([case.__name__, *json.loads(said)]), flush=True)
"""


def run(script: str, *arguments: str) -> str:
    """What a script of its own process prints; its memory and its limits end with it."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.faults
def test_real_failures_of_allocation_are_recognised(tmp_path: Path) -> None:
    lines = run(PROVOKE, str(tmp_path)).splitlines()
    found: dict[str, Any] = {case: said for case, *said in map(json.loads, lines)}
    assert found.pop("shape")[0] is None
    assert {case: of for case, (of, *_) in found.items()} == dict.fromkeys(found, "host"), found
    assert len(found) == 11
    # The texts in HOST are the real ones, but for numbers.
    listed = {re.sub(r"\d+", "N", str(error)) for error in HOST} | {
        "'" + str(e) + "'" for e in HOST
    }
    for case in ("linear", "backward", "embedding", "convolutions", "fourier_plan", "thread"):
        assert re.sub(r"\d+", "N", found[case][2]) in listed, (case, found[case])


RETRY = """
import torch
from workflow_src.limits import private_memory_now, limit_private_memory
from workflow_src.training.out_of_memory import exhausted, free

torch.set_num_threads(1)
network = torch.nn.Sequential(
    torch.nn.Conv1d(4, 64, 5), torch.nn.GELU(), torch.nn.Conv1d(64, 64, 5), torch.nn.GELU()
)
batch = torch.randn(32, 4, 4096)  # 33 MB a layer

def step(size):
    return [float(network(part).square().sum()) for part in batch.split(size)]

whole = step(4)
limit_private_memory(private_memory_now() + 120 * 2**20)
size, tried = 32, []
while True:
    failed = None
    try:
        losses = step(size)
    except RuntimeError as error:
        failed = exhausted(error)
        if failed is None:
            raise
    tried.append((size, failed))
    if failed is None:
        break
    size //= 2
    free()
assert tried[0] == (32, "host") and tried[-1][1] is None and size < 32, tried
assert abs(sum(losses) / sum(whole) - 1) < 1e-5, (losses, whole)
print(tried)
"""


@pytest.mark.faults
def test_after_a_failed_forward_and_free_a_smaller_one_succeeds() -> None:
    assert "(32, 'host')" in run(RETRY)


def test_free_gives_memory_back() -> None:
    # Every twentieth block stays: pages between them go back only if the system is told.
    blocks = [bytearray(20_000) for _ in range(8000)]
    kept = blocks[::20]
    full = resident()
    del blocks
    free()
    assert full - resident() > 100 * MB
    assert len(kept) == 400


LIMIT = """
import subprocess, sys
import numpy as np
from workflow_src.errors import UserError
from workflow_src.limits import MB, private_memory_now, resident
from workflow_src.training.out_of_memory import exhausted, limit_host_memory

processes = int(sys.argv[1])
try:
    limit_host_memory(200 * MB, processes)
    raise SystemExit("200 MB were enough")
except UserError as error:
    text = str(error)
needed = int(text.split("memory_mb: ")[1].rstrip("}"))
assert needed * MB >= processes * resident(), text
unused = private_memory_now() - resident()  # mapped, but no memory: less what files take
limit_host_memory((needed + processes) * MB, processes)
np.ones(16 * MB, np.uint8)  # room for a small step
try:
    np.empty(600 * MB, np.uint8)
    raise SystemExit("no limit")
except MemoryError as error:
    assert exhausted(error) == "host"
child = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA)[0])"
inherited = int(subprocess.check_output([sys.executable, "-c", child]))
part = (needed + processes) * MB // processes
assert part + unused - 64 * MB < inherited < part + unused, (inherited, part, unused)
print(text)
"""


@pytest.mark.faults
@pytest.mark.parametrize("processes", [1, 3])
def test_the_limit_makes_allocations_fail_and_says_what_is_needed(processes: int) -> None:
    text = run(LIMIT, str(processes))
    assert "request: {memory_mb: " in text
    assert ("for each of 3 processes" in text) == (processes == 3)
