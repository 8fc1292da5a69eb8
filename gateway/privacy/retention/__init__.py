"""What no rule keeps any more is cleared: which columns how, what is due, and the run that does it."""
