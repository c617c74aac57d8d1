"""What kopf runs: start-up, login, probes, metrics, settings. Wires everything, decides nothing."""
