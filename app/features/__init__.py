"""The rooms, a folder each; each uses only those below it."""
