"""Where history comes from: one module per source, each importing its library only when used."""
