"""Training of models, one loop for all."""
