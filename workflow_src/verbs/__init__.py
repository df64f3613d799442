"""The verbs that rules and users call, by what they are about."""
