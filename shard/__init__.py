"""One model: tokenizer, scheduler, paged cache, forward pass, sampling, token masks."""
