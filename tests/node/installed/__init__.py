"""Troth as people install it: the chart, by helm, as a Pod on a node of its own."""
