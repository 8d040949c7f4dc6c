"""What the router alone costs: its shard is a fake behind real gRPC in another process."""
