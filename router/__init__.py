"""HTTP in, gRPC out: the dialects of TGI and OpenAI."""
