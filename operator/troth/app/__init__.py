"""The running operator: kopf starts and ends it; login, probes, metrics and settings are ours. Decides nothing."""
