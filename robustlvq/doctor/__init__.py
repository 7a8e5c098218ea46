"""What ``robustlvq doctor`` examines; imports no torch until something needs it.

Each module is a section, each check of it a function that yields findings. A check imports
what it needs by itself, so that what is broken here is found by one check and keeps no other
from being made.
"""

from robustlvq.doctor.examine import Section, examine
from robustlvq.doctor.finding import Finding, Mark

__all__ = ["Finding", "Mark", "Section", "examine"]
