"""What a teacher hands out: `assignments` makes notebooks of the lessons that nbgrader marks."""
