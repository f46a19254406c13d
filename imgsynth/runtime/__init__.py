"""Where models run: device, precision, and the pool of loaded ones."""
