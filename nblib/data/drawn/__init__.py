"""The generated shapes."""
