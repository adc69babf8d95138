"""Other trainers of the same model, each written the way its own users write it, to hold our engines against.

Not backends: a suite never runs them. They are found by name alone, in the entry-point group `fairchip.peers`, and
run through the same workers, windows and gates (`make peers`).
"""
