"""What we claim, as commands anyone can run."""
