"""Plugin package of robustlvq."""
