"""Privacy: a copy of one's own data, their erasure, and how long anything is kept (PIPL arts. 19, 45, 47)."""
