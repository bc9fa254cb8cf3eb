"""The process: its port, the calls' drivers, and the one ticker that paces them."""
