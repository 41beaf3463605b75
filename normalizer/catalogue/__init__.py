"""The catalogue of webhook events: for each type when it is sent, the form of its `data`, and an example."""
