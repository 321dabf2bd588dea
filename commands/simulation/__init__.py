"""What `simulate` is made of: who takes part, what is compared, how it is shown."""
