"""From rendered files to paths in a store: which contents go to which Destinations, and which paths they have there.

Works and their contents, scheduling, paths, what a Destination allows, which Destinations would write to the same
place, and the seals by which the operator recognises what it wrote itself. All of this is decided here, and carried out
by controllers and stores.
"""
