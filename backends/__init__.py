"""Where and how it runs: devices, compilers, synchronisation, memory. Reads no clock for a result, knows no price."""
