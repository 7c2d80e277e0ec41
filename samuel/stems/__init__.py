"""True stems: which files they are (`layouts`, `names`), what is in them (`content`), and their sum (`reading`)."""
