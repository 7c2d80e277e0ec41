"""Songs: tables, lists, folders and addresses of them, read into entries with ids; and how a song is fetched."""
