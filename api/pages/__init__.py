"""The pages that the API serves to browsers, and the rules that protect them."""
