"""How the rooms reach AWS: settings, clients, the base of all DynamoDB items, logging, sealing and cursors."""
