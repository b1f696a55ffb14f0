"""URLs that ask for a picture free-form, in several grammars, all read into one kind of wish."""
