"""What measurements and proofs share: servers, databases, load, followers, reports."""
