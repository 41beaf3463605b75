"""The pages in a real browser: barriers, keyboard, policy, sizes, and what they look like."""
