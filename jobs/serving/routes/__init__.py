"""The API's routes, a module a resource; none of them knows Ray or the model."""
