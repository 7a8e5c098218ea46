"""The paper's Table 1 beside what this package measures; answers from the ledger without torch."""

from robustlvq.reproduce.request import Request
from robustlvq.reproduce.run import measure
from robustlvq.reproduce.table import Comparison, compare

__all__ = ["Comparison", "Request", "compare", "measure"]
