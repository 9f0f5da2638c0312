"""What tests are made from: networks, accelerators, input, whole cases."""
