"""The Llama-style decoder, device-free: numpy (the oracle), torch and jax."""
