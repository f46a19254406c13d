"""Where weights come from: the catalog, names, the Hub, files, and a safe reader of state dicts."""
