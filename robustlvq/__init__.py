"""robustlvq measures how robust a classifier is against adversarial attacks."""

__version__ = "0.1.0"
