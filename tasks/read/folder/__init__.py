"""Which files a source or a log names: folders walked, globs matched, patterns applied; none is opened here."""
