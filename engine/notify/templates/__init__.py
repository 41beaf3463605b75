"""Words and form of the mails: data, a package so that they are installed with the code."""
