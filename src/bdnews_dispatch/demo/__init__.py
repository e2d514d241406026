"""A believable past for `bdnews demo`, so that every page has something to show. Nobody in it is real, nothing is sent.

    texts    issues and bulletins, made up
    crowd    people and what they agreed to
    past     a year of dispatches: who got what, and what they did with it; pure
    waiting  what waits for a person today
    filling  all of it into the database of a demo, once

Drawn by lots from one seed: two demos that begin at the same moment differ in nothing. Caller: cli/demo.py.
"""
