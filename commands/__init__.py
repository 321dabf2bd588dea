"""One file for each verb: wires stages into a running program."""
