"""The generated shapes, and the outlines of which they are made."""
