"""What people, and the law, may ask of the register."""
