"""What the gateway shows in a browser: the softphone. Static files and the JSON that they ask for."""
