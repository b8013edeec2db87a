"""An open cross-margin engine: what every account of a book must have, and how it stands.

The rooms below are the library; `crossmargin --help` is its door for people.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
