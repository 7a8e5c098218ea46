"""Names, specs, hooks, the registry, and the object between an attack and a model."""
