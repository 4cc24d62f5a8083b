"""Search for parameters, and the judgement of what the search is worth."""
