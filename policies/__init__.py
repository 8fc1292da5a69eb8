"""Who may see what: data files only, read by `gateway.policy`."""
