"""The code of one page each: a module or a folder named after its notebook."""
