"""Everything behind Troth, up to a database that answers: Flux, CloudNativePG and PostgreSQL on the node."""
