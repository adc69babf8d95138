"""What is special about AWS's Neuron devices: the machine they are in, and what may be read beside a run."""
