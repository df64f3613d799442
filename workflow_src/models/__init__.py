"""The trunk (normalisation, embedding, backbone) and the network that carries the heads."""
