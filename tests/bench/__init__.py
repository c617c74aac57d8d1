"""`make bench`: this machine against the targets of the design, Kratix's figures and a loop without an operator."""
