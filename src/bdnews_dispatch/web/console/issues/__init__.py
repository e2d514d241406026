"""Issues: what came in beside its source, corrected in place, looked at as readers would get it, taken back."""
