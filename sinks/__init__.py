"""Where predictions go. Imports only the ground floor."""
