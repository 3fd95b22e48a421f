"""A room for each family of methods; none of them imports another."""
