"""Pure: Jinja, values, YAML, scheduling, layout in a store, status, diff."""
