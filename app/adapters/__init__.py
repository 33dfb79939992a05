"""The outside worlds, a folder each; they do not know each other, nor any room."""
