"""What one page needs and nothing else imports: a module or a folder named after its notebook."""
