"""Free-form URLs: several grammars, all read into one kind of wish."""
