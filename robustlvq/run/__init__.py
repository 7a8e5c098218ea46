"""From a configuration to stored results."""
