"""Documents that list things are compared with the things."""
