"""The pages of the development services: data, a package so that they are installed with the code."""
