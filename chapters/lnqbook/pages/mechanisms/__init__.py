"""What the chapter on mechanisms shows: its runs, its sentences, its tables."""
