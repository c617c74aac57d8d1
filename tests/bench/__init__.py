"""`make bench`: compares this machine with the targets, with Kratix's figures and with a loop without an operator."""
