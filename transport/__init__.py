"""What crosses the network: messages, codecs, and the links that carry them. Imports only pipeline."""
