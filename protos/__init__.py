"""The contract between the services, and the little that each of them needs to speak it."""
