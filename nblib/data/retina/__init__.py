"""What a retina is shown, and what it answers: movies made here, and recordings read from files."""
