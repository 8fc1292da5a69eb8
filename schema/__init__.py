"""What there is: the tables, the GraphQL types, and how one is filled from the other."""
