"""From rendered files to the paths in a store: which contents go to which Destinations, and where they stand there.

Works and their contents, scheduling, paths, what a Destination allows, which Destinations keep out of each other's
way, and the seals by which the operator knows what it wrote itself. All of it is decided here, and carried out by
controllers and stores.
"""
