"""What a machine without a GPU, and a study that never fails, cannot show: loaded by Python itself.

In a training process only. A request for a GPU is real, the GPU is not: tensors stay on the CPU.
And what the file named by REHEARSAL says of the cell is done after its optimizer steps, by
torch's own hook: {"dlinear/all/seed1": {"seconds_a_step": 0.5, "at_step": 3, "do": "bug"}}. Steps
count from the start of the process, the one that only allocates included; with `once`, the first
process alone does it. The supervisor of a cell with `silent` cannot ask Slurm. The program
under test knows nothing of all this.
"""

import json
import os
import re
import resource
import sys
import time


def _cell():
    """model/task_set/seed<N> of the supervisor or training process that this is; "" of others."""
    if len(sys.argv) < 2 or sys.argv[0] != "-m" or sys.argv[1] not in ("train", "attempt"):
        return ""
    found = re.search(r"([^/ ]+/[^/ ]+/seed\d+)/cell\.json", " ".join(sys.argv))
    return found[1] if found else ""


def _bug():
    raise RuntimeError("a bug of this model alone")


def _eat():
    """What a library takes behind the limit on private memory: 1200 MB that stay."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    _EATEN.append(bytearray(b"x") * (1200 * 1024 * 1024))


def _hang():
    time.sleep(3600)


_EATEN = []
_DEEDS = {"bug": _bug, "eat": _eat, "hang": _hang}


def _rehearse(cell, plan):
    from torch.optim.optimizer import register_optimizer_step_post_hook

    done = [0]

    def after_step(*_):
        done[0] += 1
        time.sleep(plan.get("seconds_a_step", 0))
        if done[0] == plan.get("at_step") and not (plan.get("once") and _done_before(cell)):
            _DEEDS[plan["do"]]()

    register_optimizer_step_post_hook(after_step)


def _done_before(cell):
    """Whether a process before this one has done it."""
    mark = os.environ["REHEARSAL"] + "." + cell.replace("/", "_")
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return True
    return False


def _begin(cell):
    with open(os.environ["REHEARSAL"], encoding="utf-8") as file:
        plan = json.load(file).get(cell, {})
    if sys.argv[1] == "train":
        if plan.get("silent"):
            os.environ["SLURM_CONF"] = os.devnull
        return
    sys.argv[:] = [
        re.sub('"accelerator": ?"cuda"', '"accelerator":"cpu"', text) for text in sys.argv
    ]
    if plan:
        _rehearse(cell, plan)


if _cell():
    _begin(_cell())
