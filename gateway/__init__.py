"""A GraphQL gateway with field-level access control over a store's customer register."""
