"""Attack a real cloud with damaged messages while a healthy device works with it."""
