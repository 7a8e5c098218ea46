"""The neural networks that the paper compares with (section 3.3)."""
