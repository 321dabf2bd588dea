"""Where frames come from, and how they become clips. Imports only the ground floor,
and for its camera a helper of `transport`."""
