"""GraphQL clients of others, in JavaScript, that the gateway has to get on with."""
