"""What the numbers of a label mean to whatever learns from it: 0 dry, 1 water, and one that says nothing."""

IGNORE = 255
"""No answer: not labelled, not observed, or left out on purpose. No loss, patch count or score looks at it."""
