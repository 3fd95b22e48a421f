"""Parameters, the runner, the cache of executed pages, the ledger, the built book."""
