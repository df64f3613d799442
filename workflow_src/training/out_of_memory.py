"""Whether an exception means that memory ran out, and of what; giving freed memory back."""

from __future__ import annotations

import ctypes
import errno
import functools
import gc
import re
from collections.abc import Iterator
from typing import Literal

import torch

from workflow_src.errors import OutOfMemory, Stopped, UserError
from workflow_src.limits import MB, limit_private_memory, private_memory_now, resident

Memory = Literal["gpu", "host"]

# A worker of a DataLoader hands its error over as the text of a traceback: the last line of each
# exception in it is "module.Type: message". So the patterns are searched line by line.
_GPU = re.compile(
    r"""
      (CUDA|HIP)\ (driver\ )?error:\ out\ of\ memory  # runtime (AcceleratorError), driver
    | (CUDA|HIP)\ out\ of\ memory                     # the caching allocator's, in a worker's text
    | \bCU(BLAS|SOLVER|SPARSE|DNN)_STATUS_ALLOC_FAILED
    | \bCUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
    | \bCUFFT_ALLOC_FAILED
    # Creating a handle allocates on the device; without a device at all, nothing gets this far.
    | \bCUBLAS_STATUS_NOT_INITIALIZED\ when\ calling\ `cublas(Lt)?Create
    | \bCUDNN_STATUS_NOT_INITIALIZED
    | \bCuda\ failure\ (2\ )?'out\ of\ memory'        # NCCL's last error, and its warning
    | \bFailed\ to\ CUDA\ calloc
    """,
    re.VERBOSE,
)
_HOST = re.compile(
    r"""
      ^[\w.]*MemoryError(:|$)                         # in a worker's text; else by its type
    | \bCannot\ allocate\ memory                      # ENOMEM: torch's allocator, mmap, fork
    | \bstd::bad_alloc
    | \bcan't\ start\ new\ thread
    # oneDNN names no reason. Descriptors of primitives are left out: these fail for types and
    # shapes that it does not support.
    | \bcould\ not\ (create\ a\ (primitive|memory|memory\ object)|execute\ a\ primitive)$
    # MKL's second text is what a plan becomes that could not be allocated; torch's own
    # parameters are always consistent.
    | \bDFTI\ ERROR:\ (Not\ enough\ memory|Inconsistent\ configuration\ parameters)
    | \(memory\ allocation\ failed                    # HDF5, as OSError or KeyError
    | \bCUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED
    | \bfailed\ to\ map\ segment\ from\ shared\ object$
    | \bunable\ to\ allocate\ shared\ memory
    # The kernel's kill; and out of memory C libraries crash as well as raise.
    | \bDataLoader\ worker\ \(pid.*\)\ (exited\ unexpectedly|is\ killed\ by\ signal)
    """,
    re.VERBOSE | re.MULTILINE,
)

# glibc raises its threshold up to 32 MB as blocks are freed; blocks below it stay in the heap,
# resident and in pieces (1.27 bytes a byte of tensors; 1.05 at this threshold).
_M_MMAP_THRESHOLD, _MMAP_THRESHOLD = -3, 4 * MB
_LIBC = ctypes.CDLL(None)  # loaded now: later there may be no memory to load it

# Of what is not resident at the start, this much may become so: 13 MB in the default run.
_UNUSED_MARGIN = 32 * MB

# What a small step takes beyond what is loaded: 4 MB, and the stacks of threads.
_STEP = 48 * MB


def exhausted(error: BaseException) -> Memory | None:
    """The memory that ran out, if that is what `error` stands for; else None.

    What it was raised from, or while handling, counts as well, as in a printed traceback. An order
    to end (KeyboardInterrupt, Stopped) is none, whatever was going on.
    """
    if not isinstance(error, Exception) or isinstance(error, Stopped):
        return None
    return next((of for of in map(_of, _chain(error)) if of is not None), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)


def _of(error: BaseException) -> Memory | None:
    if isinstance(error, OutOfMemory):
        return error.of
    if isinstance(error, torch.OutOfMemoryError):
        return "gpu"
    if isinstance(error, MemoryError):
        return "host"
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return "host"
    text = str(error)
    if _GPU.search(text):
        return "gpu"
    return "host" if _HOST.search(text) else None


def free() -> None:
    """Give what is not in use back to the device and the system.

    Call it outside of every `except` block: until that ends, the traceback holds the tensors of
    the work that failed.
    """
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    _return_freed_blocks()
    trim()


def trim() -> None:
    """Give the system back what is not in use of this process's heap now."""
    if hasattr(_LIBC, "malloc_trim"):  # glibc's
        _LIBC.malloc_trim(0)


@functools.cache
def _return_freed_blocks() -> None:
    """From now on large blocks go back to the system as they are freed; steps take up to 1.2 x."""
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)


def limit_host_memory(memory_bytes: int, processes: int) -> None:
    """Let allocations fail, as exceptions, before the kernel kills; for the CPU as accelerator.

    The limit is on private writable memory. What of it is not resident when this is called (stacks
    of threads) is left out of account. From here on large blocks go back to the
    system as they are freed, or the heap's holes would count as well: a step of tensors above 4 MB
    takes up to 1.2 times as long.

    CUDA's driver maps more than it uses: do not call this where it runs.

    Args:
        memory_bytes: host memory of the attempt.
        processes: that share it: ranks and their workers. Each gets an equal part, also those
            that this process starts.

    Raises:
        UserError: this process and a first small step do not fit into the part.
    """
    part = memory_bytes // processes
    least = resident() + _UNUSED_MARGIN + _STEP
    if part < least:
        sharing = f" for each of {processes} processes" if processes > 1 else ""
        raise UserError(
            "The request has less host memory than a first step takes.",
            where="`memory_mb` of the request",
            found=f"{part // MB} MB{sharing}",
            expected=f"at least {-(-least // MB)} MB{sharing}",
            remedy=f"request: {{memory_mb: {-(-least * processes // MB)}}}",
        )
    _return_freed_blocks()
    unused = private_memory_now() - resident()  # less the pages of files, which count as well
    limit_private_memory(part + unused - _UNUSED_MARGIN)
