"""The book's own code: statistics, claims, theory, figures, text. lnqlib never imports it."""
