"""Tasks on a Dask cluster that exists already: bytes go out, bytes come back.

Results come back as msgpack, and this process unpickles nothing of what a cluster normally
sends. Scheduler and workers do unpickle the call of a task (a reference to a function of
:mod:`robustlvq.run.cluster.on_worker`, and plain data). That is no protection from a cluster that
means harm: the protocol of Dask lets whoever is on it send pickles to everyone. Connect to
clusters that you trust.

A task that was running on a worker that died, or in a cluster whose scheduler was restarted,
is computed again. Tasks must therefore have no effect but their result.

A scheduler imports this package to unpickle a call, so nothing here may import torch.
"""

from robustlvq.run.cluster.tasks import TaskFailure
from robustlvq.run.cluster.workers import ClusterWorkers

__all__ = ["ClusterWorkers", "TaskFailure"]
