"""What lies on disk between rules: a file each, with one frozen type that reads and writes it.

`cell.json` has its type where it is made, in configuration/resolved_cell.py.
"""
