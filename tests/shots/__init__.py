"""What tests render: small shots made on the spot, and engines that do one known thing."""
