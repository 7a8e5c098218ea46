"""An example plugin of robustlvq."""
