"""What a stranger tries at the ceremony's doors."""
