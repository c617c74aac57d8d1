"""Fuzzers that give random bytes to every reader of foreign bytes, for some seconds or as long as you like."""
