"""One module per revision; the SQL of a revision lies in ../sql under its number."""
