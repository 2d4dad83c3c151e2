"""The built book: Sphinx extensions for its pages, and one page by itself."""
