"""Learning Vector Quantization: GLVQ, GMLVQ and GTLVQ (section 2 of the paper)."""
