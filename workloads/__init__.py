"""What is trained: model, data, optimizer, precision policy, seed and FLOP counts. Knows no device, clock or price."""
