"""A large Vision Transformer decomposed into small ones that run side by side, and their fusion (DeViT)."""
