"""What the machine takes, where it shows it: sources of joules, and their shares in a run's records."""
