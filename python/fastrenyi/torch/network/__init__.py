"""What is read of a network: the outputs of its layers, their gradients, and how the layers hang together."""
