"""The ledger of results: an embedded SQLite database; imports no torch."""

from robustlvq.ledger.ledger import CellKey, FailedSamples, Finished, Images, Ledger
from robustlvq.ledger.merge import Merged, merge
from robustlvq.ledger.record import AttackInfo, Cell, ModelInfo, RunFailure, RunRecord
from robustlvq.ledger.rows import ROW, Rows, empty_rows
from robustlvq.ledger.verify import Problem, check_rows, repair, verify
from robustlvq.ledger.views import (
    RunInfo,
    cell_keys,
    find_run,
    finish_run,
    list_runs,
    open_run,
    read_images,
    read_run,
    remove_runs,
    save_run,
)

__all__ = [
    "ROW",
    "AttackInfo",
    "Cell",
    "CellKey",
    "FailedSamples",
    "Finished",
    "Images",
    "Ledger",
    "Merged",
    "ModelInfo",
    "Problem",
    "Rows",
    "RunFailure",
    "RunInfo",
    "RunRecord",
    "cell_keys",
    "check_rows",
    "empty_rows",
    "find_run",
    "finish_run",
    "list_runs",
    "merge",
    "open_run",
    "read_images",
    "read_run",
    "remove_runs",
    "repair",
    "save_run",
    "verify",
]
