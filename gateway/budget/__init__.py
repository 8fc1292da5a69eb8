"""What the operations of a principal may cost in a minute: budgets, windows, and where they are counted."""
