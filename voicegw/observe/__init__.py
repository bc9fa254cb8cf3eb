"""What can be seen of the process from outside: log lines; later counters and traces."""
