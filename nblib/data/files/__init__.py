"""Images that lie in files: folders, published sets, downloads."""
